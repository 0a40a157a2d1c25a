// The manifests that follow from operator/api: kinds and admission policies, and the copies of both that the chart carries (helm reads no file outside a chart).
import { stringify } from 'yaml';
import { admissionOf, DEFAULT_OPERATOR_USER } from '../../operator/api/admission.ts';
import { crdOf } from '../../operator/api/crd.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import type { Files } from './files.ts';

const CHART = 'charts/hedgerow';
const HEADER = '# Made by `npm run generate` from operator/api. Do not edit.\n';

/** `crds/devices.yaml`, `crds/admission/hedgerow-names.yaml`, … and the same below charts/hedgerow. */
export function manifestFiles(): Files {
  const kinds = KINDS.map((kind): [string, string] => [`crds/${kind.resource.plural}.yaml`, yaml([crdOf(kind)])]);
  const policies = [...admissionOf(DEFAULT_OPERATOR_USER)].map(([name, objects]): [string, string] => [
    `admission/${name}.yaml`,
    yaml(objects),
  ]);
  return new Map([
    ...kinds,
    ...policies.map(([file, text]): [string, string] => [`crds/${file}`, text]),
    ...[...kinds, ...policies].map(([file, text]): [string, string] => [`${CHART}/${file}`, text]),
  ]);
}

/** For readers of YAML 1.1, as kubectl is one. Without anchors and without folding: a long CEL rule stays on one line and can be searched for. */
function yaml(objects: readonly object[]): string {
  return HEADER + objects.map((object) => stringify(object, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })).join('---\n');
}
