// A Device's certificate from request to revocation, on real cert-manager: what stands in the API server at the end, and in which order it came there.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { derOf, OpenSsl, pemOf } from '../../operator/identity/testing/openssl.ts';
import { ownNamespace, sharedCluster } from '../controlplane/shared.ts';
import { auditEvents, certificatesByKey } from '../harness/audit.ts';
import { waitFor } from '../harness/wait.ts';
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

const newKey = (): string => ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
const subjectOf = (name: string): string => `/O=hedgerow/OU=office.${site}/CN=${name}.${site}`;
const csrOf = (name: string, key = newKey()): string => ssl.request({ key, subject: subjectOf(name) });
const withCsr = (name: string, csr: string, more: object = {}): object =>
  deviceManifest(site, name, { identity: { enrollment: 'CSR', csr }, ...more });
const entriesOf = async (name: string): Promise<Record<string, unknown>[]> =>
  Object.values(await scene.ledger()).filter((entry) => entry.device === `${name}.${site}`);
const requestsOf = async (name: string): Promise<string[]> => {
  const { items } = await scene.run.get<{ items: { metadata: { name: string; ownerReferences?: { name: string }[] } }[] }>(
    'certificaterequests',
    '-n',
    site,
  );
  return items.filter((item) => item.metadata.ownerReferences?.[0]?.name === name).map((item) => item.metadata.name);
};
const enrolled = async (name: string, more: object = {}): Promise<X509Certificate> => {
  await scene.apply(withCsr(name, csrOf(name), more));
  await scene.until(name, 'Ready', 'True');
  return new X509Certificate((await scene.device(name)).status?.certificate ?? '');
};

describe('a device with its own key', () => {
  it('gets a certificate of the site’s root for exactly the dictated subject, key and usages, and no Secret', async () => {
    const key = newKey();
    await scene.apply(deviceManifest(site, 'thermo-1', { identity: { enrollment: 'CSR', csr: csrOf('thermo-1', key), duration: '48h' } }));
    await scene.until('thermo-1', 'Ready', 'True', 'Issued');
    const device = await scene.device('thermo-1');
    const leaf = new X509Certificate(device.status?.certificate ?? '');
    expect(leaf.verify((await scene.root()).publicKey)).toBe(true);
    expect(leaf.subject).toBe(`O=hedgerow\nOU=office.${site}\nCN=thermo-1.${site}`);
    expect(leaf.publicKey.equals(createPublicKey(ssl.file(key)))).toBe(true);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(leaf.ca).toBe(false);
    expect(leaf.validToDate.getTime() - Date.now()).toBeLessThanOrEqual(48 * 3_600_000);
    expect(device.status?.identity).toMatchObject({ issuer: `Issuer/${site}/devices`, serialNumber: leaf.serialNumber.toLowerCase() });
    const secrets = await scene.run.kubectl('get', 'secrets', '-n', site, '-o', 'name');
    expect(secrets.trim().split('\n')).toEqual(['secret/site-root']);
  });

  it('leaves no request behind, and costs five writes of the operator', async () => {
    await enrolled('thermo-2');
    await waitFor('the request to be deleted', async () => ((await requestsOf('thermo-2')).length === 0 ? true : undefined));
    const writes: string[] = [];
    for await (const { user, verb, objectRef } of auditEvents(scene.cluster.auditLogFile)) {
      const about = `${objectRef?.name ?? ''}`.startsWith('thermo-2') && objectRef?.namespace === site;
      if (about && user.username === scene.user && !['get', 'list', 'watch'].includes(verb))
        writes.push(`${verb} ${objectRef?.resource}${objectRef?.subresource === undefined ? '' : `/${objectRef.subresource}`}`);
    }
    // Beside these one write to the ledger, which a group of devices shares.
    expect(writes.sort()).toEqual([
      'create certificaterequests',
      'delete certificaterequests',
      'patch certificaterequests/status',
      'patch devices/status',
    ]);
  });

  it('is given nothing that does not stand in the ledger before: in the order of the API server’s versions', async () => {
    const order = await scene.watchOrder();
    const names = Array.from({ length: 20 }, (_, i) => `order-${i}`);
    await scene.apply(...names.map((name) => withCsr(name, csrOf(name))));
    for (const name of names) await scene.until(name, 'Ready', 'True');
    await waitFor('the watches to show everything', () =>
      names.every((name) => order.handedOut.has(`${site}/${name}`)) ? true : undefined,
    );
    order.stop();
    for (const name of names) {
      const { sha256, version } = order.handedOut.get(`${site}/${name}`) ?? { sha256: '', version: 0 };
      expect(order.recorded.get(sha256), name).toBeLessThan(version);
    }
    // Group commit: fewer writes than certificates.
    expect(new Set(order.recorded.values()).size).toBeLessThan(names.length);
  });

  it('is told the very command that makes the right request, and gets its certificate when it was run', async () => {
    await scene.apply(withCsr('foreign', ssl.request({ subject: '/O=hedgerow/OU=office.paris/CN=foreign.paris' })));
    const message = await scene.until('foreign', 'Stalled', 'True', 'CsrSubjectMismatch');
    expect(message).toContain('HR-ID-009');
    ssl.bash(/openssl req .+$/.exec(message)?.[0] ?? '');
    await scene.apply(withCsr('foreign', ssl.file('foreign.csr')));
    await scene.until('foreign', 'Ready', 'True');
    expect((await scene.device('foreign')).status?.conditions?.find((c) => c.type === 'Stalled')).toBeUndefined();
  });

  it.each<[string, string, string, (name: string) => string]>([
    [
      'weak',
      'CsrKeyWeak',
      'HR-ID-007',
      (name) => ssl.request({ key: ssl.key('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'), subject: subjectOf(name) }),
    ],
    ['large', 'CsrTooLarge', 'HR-ID-003', (name) => csrOf(name) + '\n'.repeat(8192)],
    ['forged', 'CsrSignatureInvalid', 'HR-ID-005', (name) => forged(csrOf(name))],
    [
      'greedy',
      'CsrExtensionRefused',
      'HR-ID-010',
      (name) => ssl.request({ subject: subjectOf(name), args: ['-addext', 'basicConstraints=critical,CA:TRUE'] }),
    ],
    ['double', 'CsrNotPem', 'HR-ID-002', (name) => csrOf(name) + csrOf(name)],
  ])('is refused with a bad request (%s): %s', async (name, reason, code, make) => {
    await scene.apply(withCsr(name, make(name)));
    const message = await scene.until(name, 'Stalled', 'True', reason);
    expect(message).toMatch(new RegExp(`^${code}: .+ Cure: `));
    await scene.until(name, 'Ready', 'False', reason);
    expect(await requestsOf(name)).toEqual([]);
    expect(await entriesOf(name)).toEqual([]);
  });

  it('renews with the same key inside its window, and the old certificate stays valid', async () => {
    const csr = csrOf('short');
    const identity = (duration: string, renewBefore: string) => ({ identity: { enrollment: 'CSR', csr, duration, renewBefore } });
    await scene.apply(deviceManifest(site, 'short', identity('1h', '59m57s')));
    await scene.until('short', 'Ready', 'True');
    const first = (await scene.device('short')).status?.certificate;
    await waitFor('the next certificate', async () => ((await scene.device('short')).status?.certificate === first ? undefined : true));
    await scene.apply(deviceManifest(site, 'short', identity('1h', '5m')));
    const entries = await entriesOf('short');
    expect(entries.length).toBeGreaterThanOrEqual(2);
    expect(entries.filter((entry) => entry.revoked !== undefined)).toEqual([]);
    expect(new Set(entries.map((entry) => entry.spki)).size).toBe(1);
  });
});

describe('two devices', () => {
  const serial = { hardware: { model: 'tmp-2', serial: 'A1B2C3' } };

  it('with one serial number: the newcomer stalls, the first is not touched, and the newcomer moves up when the first goes', async () => {
    await enrolled('serial-1', serial);
    await scene.apply(withCsr('serial-2', csrOf('serial-2'), serial));
    expect(await scene.until('serial-2', 'Stalled', 'True', 'DuplicateSerial')).toContain(`${site}/serial-1`);
    expect(await scene.until('serial-1', 'Ready', 'True')).toContain('valid until');
    await scene.run.kubectl('delete', 'device', 'serial-1', '-n', site);
    await scene.until('serial-2', 'Ready', 'True');
  });

  it('with one key: the newcomer stalls, and gets its certificate with a key of its own', async () => {
    const key = newKey();
    await scene.apply(withCsr('key-1', csrOf('key-1', key)));
    await scene.until('key-1', 'Ready', 'True');
    await scene.apply(withCsr('key-2', csrOf('key-2', key)));
    expect(await scene.until('key-2', 'Stalled', 'True', 'DuplicateKey')).toContain('key-1');
    expect(await entriesOf('key-2')).toEqual([]);
    await scene.apply(withCsr('key-2', csrOf('key-2')));
    await scene.until('key-2', 'Ready', 'True');
  });

  it('with the serial number of another namespace are no rivals', async () => {
    const elsewhere = await ownNamespace(scene.cluster, 'identity-elsewhere');
    const other = { ...(withCsr('serial-9', csrOf('serial-9'), { hardware: { model: 'tmp-2', serial: 'Z9' } }) as { metadata: object }) };
    await scene.apply({ ...other, metadata: { name: 'serial-9', namespace: elsewhere } });
    await enrolled('serial-9', { hardware: { model: 'tmp-2', serial: 'Z9' } });
    await scene.run.kubectl('delete', 'namespace', elsewhere, '--wait=false');
  });
});

describe('what a Device waits for', () => {
  it('an issuer that does not exist yet is said, and the Device goes on by itself when it is there', async () => {
    await scene.apply(
      deviceManifest(site, 'early', { identity: { enrollment: 'CSR', csr: csrOf('early'), issuerRef: { name: 'later' } } }),
    );
    expect(await scene.until('early', 'Stalled', 'True', 'IssuerNotFound')).toContain(`Issuer/${site}/later`);
    await scene.apply(scene.issuer('later'));
    await scene.until('early', 'Ready', 'True');
  });

  it('a stranger’s request that stands where ours would be is not approved; it goes on when that is gone', async () => {
    const csr = csrOf('placed');
    await scene.apply(deviceManifest(site, 'placed', { identity: { enrollment: 'CSR', csr, issuerRef: { name: 'taken' } } }));
    await scene.until('placed', 'Stalled', 'True', 'IssuerNotFound');
    const name = scene.requestName(await scene.device('placed'), 'taken');
    const spec = {
      request: Buffer.from(csr).toString('base64'),
      issuerRef: { name: 'taken', kind: 'Issuer' },
      usages: ['client auth'],
      isCA: true,
    };
    await scene.apply({ apiVersion: 'cert-manager.io/v1', kind: 'CertificateRequest', metadata: { name, namespace: site }, spec });
    await scene.apply(scene.issuer('taken'));
    expect(await scene.until('placed', 'Certified', 'False', 'ForeignRequest')).toContain(`made by admin`);
    const { status } = await scene.run.get<{ status?: { certificate?: string } }>('certificaterequest', name, '-n', site);
    expect(status?.certificate).toBeUndefined();
    await scene.run.kubectl('delete', 'certificaterequest', name, '-n', site);
    await scene.until('placed', 'Ready', 'True');
  });

  it('another identity that may approve for its issuer makes every Device of that issuer not ready, until it may not any more', async () => {
    await enrolled('watched');
    const approver = scene.approver('mallory');
    await scene.apply(...approver);
    const message = await scene.until('watched', 'Ready', 'False', 'ApproverOpen');
    expect(message).toContain(`system:serviceaccount:${site}:mallory`);
    expect(message).toContain('HR-ID-022');
    await scene.apply(withCsr('late', csrOf('late')));
    await scene.until('late', 'Stalled', 'True', 'ApproverOpen');
    expect(await requestsOf('late')).toEqual([]);
    await scene.run.kubectl('delete', 'clusterrolebinding', `${site}-mallory`);
    await scene.until('watched', 'Ready', 'True');
    await scene.until('late', 'Ready', 'True');
  });
});

describe('no key', () => {
  it('was certified twice by anything above, renewals aside', async () => {
    const renewed = new Set((await entriesOf('short')).map((entry) => entry.spki));
    const ours = new Set(Object.values(await scene.ledger()).map((entry) => entry.spki));
    const twice = [...(await certificatesByKey(scene.cluster.auditLogFile))].filter(
      ([key, certificates]) => ours.has(key) && !renewed.has(key) && certificates.size > 1,
    );
    expect(twice).toEqual([]);
  });
});

/** The request of one key with the public key of another in it. */
function forged(csr: string): string {
  const der = derOf(csr);
  const other = derOf(csrOf('x'));
  const point = Buffer.from('03420004', 'hex');
  other.copy(der, der.indexOf(point) + 4, other.indexOf(point) + 4, other.indexOf(point) + 68);
  return pemOf(der);
}
