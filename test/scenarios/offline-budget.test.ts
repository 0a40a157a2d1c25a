// offlineBudget against what a CRL lasts, refused by the API server itself under the chart's policy; and the flags with which the operator follows the lists.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseOptions } from '../../operator/options.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { installHedgerow, runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { podOf, type Rendered, render } from './chart.ts';

const LISTED = { namespace: 'berlin', name: 'devices', secret: 'ca' };
const RELEASE = `budget-${process.pid}`;

let cluster: Cluster;
let namespace: string;
let policy: Rendered[];

beforeAll(async () => {
  cluster = await sharedCluster();
  await installHedgerow({ ...cluster, dir: mkdtempSync(join(tmpdir(), 'hedgerow-')) });
  namespace = await ownNamespace(cluster, 'budget');
  const values = { fullnameOverride: RELEASE, crl: { enabled: true, validity: '168h', issuers: [LISTED] } };
  policy = (await render(cluster, values)).filter(({ metadata }) => metadata.name.endsWith('-offline-budget'));
  await runner(cluster).apply(policy);
  // The API server takes a moment to compile a policy.
  await waitFor('the policy to be in force', async () =>
    (await apply(device('probe', '200h'), '--dry-run=server')).code === 0 ? undefined : true,
  );
});
afterAll(async () => {
  for (const { kind, metadata } of policy ?? []) await cluster.kubectl(['delete', '--ignore-not-found', `${kind}/${metadata.name}`]);
});

function device(name: string, offlineBudget: string | undefined, spec: object = {}): object {
  return {
    ...{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { name, namespace } },
    spec: {
      segment: 'office',
      identity: { enrollment: 'EST', duration: '2000h', renewBefore: '600h' },
      ...(offlineBudget === undefined ? {} : { offlineBudget }),
      ...spec,
    },
  };
}
const apply = (object: object, ...more: string[]) =>
  cluster.kubectl(['apply', '--server-side', '--force-conflicts', ...more, '-f', '-'], JSON.stringify(object));

describe('an offlineBudget, where lists last a week', () => {
  it('is taken up to seven eighths of it, the age at which a list is renewed', async () => {
    for (const budget of [undefined, '0s', '147h']) expect(await apply(device('short', budget))).toMatchObject({ code: 0 });
  });

  it('is refused beyond that, with the cure', async () => {
    const { code, stderr } = await apply(device('long', '147h1s'));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(
      /HR-API-007: spec\.offlineBudget is 147h1s, but a CRL lasts 147h at the least.*crl\.validity of the chart \(now 168h\)/,
    );
  });

  it('that stands there already hinders nobody who revokes the Device', async () => {
    const [rules, binding] = policy as [Rendered, Rendered];
    await cluster.kubectl(['delete', `${binding.kind}/${binding.metadata.name}`]);
    await waitFor('the policy to be gone', async () => ((await apply(device('old', '200h'))).code === 0 ? true : undefined));
    await runner(cluster).apply([rules, binding]);
    await waitFor('the policy to be back', async () =>
      (await apply(device('new', '200h'), '--dry-run=server')).code === 0 ? undefined : true,
    );
    expect(await apply(device('old', '200h', { lifecycle: 'Revoked' }))).toMatchObject({ code: 0 });
    expect((await apply(device('old', '201h'))).stderr).toContain('HR-API-007');
  });
});

describe('the chart', () => {
  it('has neither the policy nor the flags where no CRL is made', async () => {
    const rendered = await render(cluster);
    expect(rendered.filter(({ metadata }) => metadata.name.endsWith('-offline-budget'))).toEqual([]);
    expect(podOf(rendered).containers[0]?.args.filter((arg) => arg.includes('crl'))).toEqual([]);
  });

  it('lets the operator follow the lists when it has the CAs of the devices, and reach nothing more for it', async () => {
    const crl = {
      enabled: true,
      issuers: [LISTED],
      deviceCa: { configMap: 'device-cas' },
      from: [{ podSelector: { matchLabels: { app: 'emqx' } } }],
    };
    const rendered = await render(cluster, { crl });
    const pod = podOf(rendered.filter(({ metadata }) => !metadata.name.endsWith('-crl')));
    expect(parseOptions(pod.containers[0]?.args ?? [])).toMatchObject({
      kind: 'options',
      options: { crl: { url: 'http://hedgerow-crl.hedgerow-system.svc:80', caFile: '/etc/hedgerow/device-ca/ca.crt' } },
    });
    expect(pod.volumes).toContainEqual({
      name: 'device-ca',
      configMap: { name: 'device-cas', items: [{ key: 'ca.crt', path: 'ca.crt' }] },
    });
    const policies = rendered.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => JSON.stringify(spec));
    expect(policies.some((text) => text.includes('"component":"crl"') || text.includes('/component":"crl"'))).toBe(true);
    for (const object of rendered.filter(({ rules }) => rules !== undefined))
      if (!object.metadata.name.includes('crl')) expect(JSON.stringify(object.rules)).not.toContain('secrets');
  });
});
