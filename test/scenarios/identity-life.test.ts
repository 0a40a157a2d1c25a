// What becomes of certificates: made by cert-manager for Managed devices, revoked, retired with their Device, found again after a restart.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { certificatesByKey } from '../harness/audit.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { deviceManifest, type IdentityScene, setTheScene } from './identity-room.ts';

const ssl = new OpenSsl();
let scene: IdentityScene;
let site: string;

beforeAll(async () => {
  scene = await setTheScene(await sharedCluster());
  site = scene.site;
});
afterAll(async () => {
  await scene?.end();
  ssl[Symbol.dispose]();
});

const csrOf = (name: string): string => ssl.request({ subject: `/O=hedgerow/OU=office.${site}/CN=${name}.${site}` });
const withCsr = (name: string, csr: string, lifecycle = 'Active'): object =>
  deviceManifest(site, name, { identity: { enrollment: 'CSR', csr }, lifecycle });
const managed = (name: string, lifecycle = 'Active'): object =>
  deviceManifest(site, name, { identity: { enrollment: 'Managed', secretName: `${name}-tls` }, lifecycle });
const entriesOf = async (name: string): Promise<Record<string, unknown>[]> =>
  Object.values(await scene.ledger()).filter((entry) => entry.device === `${name}.${site}`);
const reasonsOf = async (name: string): Promise<(string | undefined)[]> =>
  (await entriesOf(name)).map((entry) => (entry.revoked as { reason: string } | undefined)?.reason);
const secret = async (name: string, field: 'tls\\.crt' | 'tls\\.key'): Promise<string> =>
  Buffer.from(await scene.run.kubectl('get', 'secret', name, '-n', site, '-o', `jsonpath={.data.${field}}`), 'base64').toString();
const patch = (name: string, spec: object): Promise<string> =>
  scene.run.kubectl('patch', 'device', name, '-n', site, '--type=merge', '-p', JSON.stringify({ spec }));
const everyone = async (list: readonly string[], look: (name: string) => Promise<boolean>): Promise<true | undefined> =>
  (await Promise.all(list.map(look))).every((yes) => yes) || undefined;

describe('a Managed device', () => {
  it('gets key and certificate from cert-manager, for the dictated subject, and the ledger knows the certificate', async () => {
    await scene.apply(managed('gateway-1'));
    await scene.until('gateway-1', 'Ready', 'True');
    const leaf = new X509Certificate(await secret('gateway-1-tls', 'tls\\.crt'));
    expect(leaf.verify((await scene.root()).publicKey)).toBe(true);
    expect(leaf.subject).toBe(`O=hedgerow\nOU=office.${site}\nCN=gateway-1.${site}`);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(leaf.subjectAltName).toBeUndefined();
    expect(await secret('gateway-1-tls', 'tls\\.key')).toContain('PRIVATE KEY');
    const sha256 = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    expect(await entriesOf('gateway-1')).toEqual([expect.objectContaining({ sha256, via: 'Managed', md5: expect.any(String) })]);
    expect((await scene.device('gateway-1')).status).toMatchObject({ identity: { fingerprint: sha256 } });
    // The certificate of a Managed device lies in its Secret, not in the status.
    expect((await scene.device('gateway-1')).status?.certificate).toBeUndefined();
  });

  it('has a Certificate that somebody changed put back, and nothing else is signed for it', async () => {
    const before = await secret('gateway-1-tls', 'tls\\.crt');
    await scene.run.kubectl(
      'patch',
      'certificate',
      'gateway-1',
      '-n',
      site,
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { dnsNames: ['broker.example.org'] } }),
    );
    await waitFor('the host name to be gone', async () => {
      const names = await scene.run.kubectl('get', 'certificate', 'gateway-1', '-n', site, '-o', 'jsonpath={.spec.dnsNames}');
      return names === '' ? true : undefined;
    });
    await scene.until('gateway-1', 'Ready', 'True');
    for (const entry of await entriesOf('gateway-1')) expect(entry.segment).toBe(`office.${site}`);
    const leaf = new X509Certificate(await secret('gateway-1-tls', 'tls\\.crt'));
    expect(leaf.subjectAltName).toBeUndefined();
    expect(new X509Certificate(before).subject).toBe(leaf.subject);
  });

  it('does not take over a Certificate that belongs to somebody else', async () => {
    const theirs = {
      apiVersion: 'cert-manager.io/v1',
      kind: 'Certificate',
      metadata: { name: 'gateway-2', namespace: site },
      spec: { secretName: 'theirs', commonName: 'theirs', issuerRef: { name: 'hedgerow-root', kind: 'ClusterIssuer' } },
    };
    await scene.apply(theirs, managed('gateway-2'));
    await scene.until('gateway-2', 'Stalled', 'True', 'CertificateNameTaken');
    expect(await scene.run.kubectl('get', 'certificate', 'gateway-2', '-n', site, '-o', 'jsonpath={.spec.commonName}')).toBe('theirs');
  });

  it('that is revoked has its certificate revoked in the ledger, and returns with another key', async () => {
    const before = new X509Certificate(await secret('gateway-1-tls', 'tls\\.crt'));
    await patch('gateway-1', { lifecycle: 'Revoked' });
    await scene.until('gateway-1', 'Certified', 'False', 'Revoked');
    expect((await reasonsOf('gateway-1')).every((reason) => reason === 'Revoked')).toBe(true);
    await patch('gateway-1', { lifecycle: 'Active' });
    await scene.until('gateway-1', 'Ready', 'True');
    const after = new X509Certificate(await secret('gateway-1-tls', 'tls\\.crt'));
    expect(after.publicKey.equals(before.publicKey)).toBe(false);
    expect(await reasonsOf('gateway-1')).toContain(undefined);
  });
});

describe('a revoked device', () => {
  it('has every certificate revoked in the ledger, under the word of its spec, and shows none', async () => {
    await scene.apply(withCsr('revoked', csrOf('revoked')));
    await scene.until('revoked', 'Ready', 'True');
    await patch('revoked', { lifecycle: 'Revoked' });
    await scene.until('revoked', 'Certified', 'False', 'Revoked');
    expect(await reasonsOf('revoked')).toEqual(['Revoked']);
    const { status } = await scene.device('revoked');
    expect(status?.certificate).toBeUndefined();
    expect(status?.identity?.revocationSteps?.map((step) => step.step)).toContain('Ledger');
  });

  it('never gets a certificate for the same key again, not as another Device either, and does for a new key', async () => {
    await patch('revoked', { lifecycle: 'Active' });
    expect(await scene.until('revoked', 'Stalled', 'True', 'KeyRevoked')).toContain('HR-ID-032');
    const { spec } = await scene.device('revoked');
    await scene.run.kubectl('delete', 'device', 'revoked', '-n', site);
    await scene.apply(withCsr('revoked', spec.identity?.csr ?? ''));
    await scene.until('revoked', 'Stalled', 'True', 'KeyRevoked');
    expect((await entriesOf('revoked')).length).toBe(1);
    await scene.apply(withCsr('revoked', csrOf('revoked')));
    await scene.until('revoked', 'Ready', 'True');
    expect((await reasonsOf('revoked')).sort()).toEqual(['Revoked', undefined]);
  });
});

describe('a Device that is deleted', () => {
  it('is retired: its certificate is revoked, and its request goes with it', async () => {
    await scene.apply(withCsr('gone', csrOf('gone')));
    await scene.until('gone', 'Ready', 'True');
    await scene.run.kubectl('delete', 'device', 'gone', '-n', site);
    await waitFor('the certificate to be revoked', async () => ((await reasonsOf('gone'))[0] === 'Retired' ? true : undefined));
  });

  it('while nobody runs is retired when the operator is back, and a request under way was collected', async () => {
    const names = ['away-1', 'away-2', 'away-3'];
    await scene.apply(...names.map((name) => withCsr(name, csrOf(name))));
    for (const name of names) await scene.until(name, 'Ready', 'True');
    // One more that has only come as far as its request: its issuer's signature is not waited for.
    await scene.apply(withCsr('away-4', csrOf('away-4')));
    await scene.stopRoom();
    await scene.run.kubectl('delete', 'device', ...names, 'away-4', '-n', site);
    await scene.startRoom();
    await waitFor('all to be retired', () => everyone(names, async (name) => (await reasonsOf(name))[0] === 'Retired'));
    const left = await scene.run.kubectl(
      'get',
      'certificaterequests',
      '-n',
      site,
      '-o',
      'jsonpath={.items[*].metadata.ownerReferences[0].name}',
    );
    expect(left.split(' ').filter((owner) => owner.startsWith('away'))).toEqual([]);
  });
});

describe('an operator that stops between any two steps', () => {
  it('loses no certificate and has none made twice', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `crash-${i}`);
    for (const [at, name] of names.entries()) {
      await scene.apply(withCsr(name, csrOf(name)));
      // Somewhere within the second that an issuance takes.
      await pause(60 * at);
      await scene.stopRoom();
      await scene.startRoom();
    }
    for (const name of names) await scene.until(name, 'Ready', 'True');
    const ledger = Object.values(await scene.ledger());
    for (const name of names) expect(ledger.filter((entry) => entry.device === `${name}.${site}`)).toHaveLength(1);
    const keys = new Set(ledger.filter((entry) => String(entry.device).startsWith('crash-')).map((entry) => entry.spki));
    const made = [...(await certificatesByKey(scene.cluster.auditLogFile))].filter(([key]) => keys.has(key));
    expect(made.map(([, certificates]) => certificates.size)).toEqual(names.map(() => 1));
    await waitFor('the requests to be gone', async () => {
      const left = await scene.run.kubectl(
        'get',
        'certificaterequests',
        '-n',
        site,
        '-o',
        'jsonpath={.items[*].metadata.ownerReferences[0].name}',
      );
      return left.includes('crash-') ? undefined : true;
    });
  });
});
