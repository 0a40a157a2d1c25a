// The chart's copies of what is generated: the same kinds, and admission policies that name the operator of the release.
import { beforeAll, describe, expect, it } from 'vitest';
import { admissionOf, DEFAULT_OPERATOR_USER } from '../../operator/api/admission.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parseObjects, toYaml } from '../harness/manifests.ts';
import { CHART, type Rendered, render } from '../scenarios/chart.ts';

const KINDS_OF_ADMISSION = ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];

let cluster: Cluster;
let policies: Rendered[];

beforeAll(async () => {
  cluster = await sharedCluster();
  const rendered = await render(cluster, { fullnameOverride: 'fleet' }, 'elsewhere');
  policies = rendered.filter(({ kind }) => KINDS_OF_ADMISSION.includes(kind));
});

describe('the admission policies of the chart', () => {
  it('are all that are generated, word for word but for the name of the operator', () => {
    const generated = [...admissionOf('system:serviceaccount:elsewhere:fleet').values()].flat() as Rendered[];
    const bare = ({ kind, metadata, spec }: Rendered): object => ({ kind, name: metadata.name, spec });
    const byName = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
    expect(policies.map(bare).sort(byName)).toEqual(generated.map(bare).sort(byName));
    expect(JSON.stringify(policies)).not.toContain(DEFAULT_OPERATOR_USER);
  });

  it('outlive the release: without them somebody could write the ledger', () => {
    for (const { metadata } of policies) expect(metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
  });

  it('are taken by the API server as they are rendered', async () => {
    const { code, stderr } = await cluster.kubectl(
      ['apply', '--server-side', '--dry-run=server', '--force-conflicts', '-f', '-'],
      toYaml(policies),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

it('the chart brings every kind', async () => {
  const { stdout } = await cluster.helm(['show', 'crds', CHART]);
  const names = parseObjects(stdout).map(({ metadata }) => metadata.name);
  expect(names.sort()).toEqual(KINDS.map(({ resource }) => `${resource.plural}.${resource.group}`).sort());
});
