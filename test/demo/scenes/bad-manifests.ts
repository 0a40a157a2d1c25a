import { toYaml } from '../../harness/manifests.ts';
import { makeDeviceKey } from '../../simulator/key.ts';
import { conditionOf } from '../watch.ts';
import { intervention, must, type Scene, type Stage } from './scene.ts';

const NEWCOMER = 'thermo-99';

export const badManifests: Scene = {
  proof: 'a bad manifest is refused with its cure',
  attempt: () =>
    'Somebody pastes a private key, grants a topic that reaches everybody, signs with the name of another, and sends a request for another device.',
  async play(stage, check) {
    const { kubectl, watch, namespace } = stage;
    for (const [what, code, yaml] of refusedAtTheDoor(stage)) {
      const answer = await kubectl(['apply', '-f', '-'], { yaml, about: what });
      const message = messageOf(answer.stderr, code);
      check('refused', answer.code !== 0 && message !== undefined, message ?? answer.stderr.trim());
    }
    // Only the operator can read what is inside a request: the Device is taken, and says what is wrong with it.
    const { csrPem } = await makeDeviceKey({ device: 'somebody-else', segment: 'office-sensors', namespace });
    const about = `Device ${NEWCOMER} with a request for another subject`;
    must(await kubectl(['apply', '-f', '-'], { yaml: toYaml([device(stage, csrPem)]), about }));
    await watch.until(NEWCOMER, 'Stalled', 'True');
    const stalled = conditionOf(watch.get(NEWCOMER), 'Stalled');
    const command = /openssl req .*CN=thermo-99\.[a-z0-9-]+/.test(stalled?.message ?? '');
    check('stalled, no certificate', command && watch.get(NEWCOMER)?.certificate === undefined, `${stalled?.reason}: ${stalled?.message}`);
    must(await kubectl(['delete', 'device', NEWCOMER, '-n', namespace]));
    return '4 of 4 with code and cure';
  },
};

function refusedAtTheDoor(stage: Stage): [what: string, code: string, yaml: string][] {
  // Not a key: the words alone must be enough.
  const key = '-----BEGIN PRIVATE KEY-----\nnot a key, only its heading\n-----END PRIVATE KEY-----\n';
  const forged = intervention({ ...stage, user: 'alice@example.org' }, 'Revoke', NEWCOMER, 'none');
  const policy = {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { name: 'everything', namespace: stage.namespace },
    spec: { function: 'listener', trust: 2, topics: { subscribe: [{ topic: '#' }] } },
  };
  return [
    ['Device with a private key in spec.identity.csr', 'HR-API-005', toYaml([device(stage, key)])],
    ['SegmentPolicy that subscribes to #', 'HR-API-004', toYaml([policy])],
    ['Intervention in the name of alice@example.org', 'HR-API-012', forged.yaml],
  ];
}

function device({ namespace }: Stage, csr: string): object {
  return {
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'Device',
    metadata: { name: NEWCOMER, namespace },
    spec: { segment: 'office-sensors', hardware: { model: 'tmp-2', serial: 'A1B2D9' }, identity: { enrollment: 'CSR', csr } },
  };
}

/** The server's sentence that begins with the code, without what kubectl puts around it. */
function messageOf(stderr: string, code: string): string | undefined {
  const at = stderr.indexOf(code);
  return at < 0
    ? undefined
    : stderr
        .slice(at)
        .split('\n')[0]
        ?.replace(/[",\]]+$/, '')
        .trim();
}
