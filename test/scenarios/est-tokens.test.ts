// What the account of the EST server may do to the Secret of the tokens, whoever has taken it over: the API server is the judge, under the chart's policy.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Cluster } from '../controlplane/cluster.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { runner } from '../harness/system.ts';
import { waitFor } from '../harness/wait.ts';
import { type Rendered, render } from './chart.ts';

const SECRET = 'hedgerow-est-tokens';
const RELEASE = `tokens-${process.pid}`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const END = '2027-01-01T00:00:00.000Z';
/** As a person writes it by hand, and as the plugin does. */
const FRESH = { plain: `sha256:${sha256('a')} 2027-01-01T00:00:00Z\n`, fine: `sha256:${sha256('b')} ${END}` };
const bound = (token: string, request: string, end = END): string => `sha256:${sha256(token)} ${end} ${sha256(request)}`;

let cluster: Cluster;
let namespace: string;
let objects: Rendered[];
let kubeconfig: string;

beforeAll(async () => {
  cluster = await sharedCluster();
  namespace = await ownNamespace(cluster, 'tokens');
  const est = { enabled: true, tlsSecret: 'tls', deviceCa: { configMap: 'cas' } };
  objects = (await render(cluster, { fullnameOverride: RELEASE, est }, namespace)).filter(
    ({ kind, metadata }) =>
      metadata.name.includes('-est') && /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/.test(kind),
  );
  await runner(cluster).apply(objects);
  kubeconfig = await cluster.kubeconfigFor({ serviceAccount: `${namespace}/${RELEASE}-est` });
  await refill();
  await waitFor('the policy to be in force', async () => ((await asEst({ labels: { x: 'y' } }, {}, true)).code === 0 ? undefined : true));
});
afterAll(async () => {
  for (const { kind, metadata } of objects ?? [])
    if (metadata.namespace === undefined) await cluster.kubectl(['delete', '--ignore-not-found', `${kind}/${metadata.name}`]);
});

const refill = (): Promise<void> =>
  runner(cluster).apply([
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: SECRET, namespace }, stringData: { ...FRESH, used: bound('c', 'first') } },
  ]);
const encoded = (entries: Record<string, string | null>) =>
  Object.fromEntries(Object.entries(entries).map(([name, text]) => [name, text === null ? null : Buffer.from(text).toString('base64')]));

/** The patch that the server would make, or whoever has its account. */
function asEst(metadata: object, entries: Record<string, string | null>, dryRun = false, more: object = {}) {
  const patch = JSON.stringify({ metadata, data: encoded(entries), ...more });
  return cluster.kubectl([
    ...['--kubeconfig', kubeconfig, 'patch', 'secret', SECRET, '-n', namespace, '--type=merge', '-p', patch],
    ...(dryRun ? ['--dry-run=server'] : []),
  ]);
}

describe('the EST server may', () => {
  it.each<[what: string, entries: Record<string, string | null>]>([
    ['bind a token that a person wrote', { plain: bound('a', 'request') }],
    ['bind one that the plugin wrote, and take out what is over', { fine: bound('b', 'request'), used: null }],
    ['write again what stands there', { used: bound('c', 'first') }],
  ])('%s', async (_what, entries) => {
    await refill();
    expect(await asEst({}, entries)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('the EST server may not', () => {
  it.each<[what: string, entries: Record<string, string | null>, metadata?: object, more?: object]>([
    ['add a token', { mine: FRESH.fine }],
    ['add one that is bound already', { mine: bound('d', 'request') }],
    ['put another token in the place of one', { fine: bound('d', 'request') }],
    ['let a token live longer', { fine: bound('b', 'request', '2037-01-01T00:00:00.000Z') }],
    ['let it live longer without using it', { fine: `sha256:${sha256('b')} 2037-01-01T00:00:00.000Z` }],
    ['bind a used token to another request', { used: bound('c', 'second') }],
    ['make a used token fresh again', { used: `sha256:${sha256('c')} ${END}` }],
    ['replace a token by nothing that reads', { fine: 'x' }],
    ['label the Secret', {}, { labels: { 'app.kubernetes.io/part-of': 'x' } }],
    ['give it an owner, so that it goes with that', {}, { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'x' }] }],
    ['freeze it', {}, {}, { immutable: true }],
  ])('%s', async (_what, entries, metadata = {}, more = {}) => {
    await refill();
    const { code, stderr } = await asEst(metadata, entries, false, more);
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining('HR-API-018')]);
  });
});

describe('everybody else', () => {
  it('hands tokens out as before', async () => {
    await refill();
    const patch = JSON.stringify({ data: encoded({ another: FRESH.fine }) });
    const { code } = await cluster.kubectl(['patch', 'secret', SECRET, '-n', namespace, '--type=merge', '-p', patch]);
    expect(code).toBe(0);
  });
});
