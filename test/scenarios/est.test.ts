// Enrolment by EST, on real cert-manager: two processes `operator est` under the account of the chart, and clients that nobody here wrote.
import { createHash, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyCsr } from '../../operator/identity/csr.ts';
import { deviceProjection } from '../../operator/identity/identity.ts';
import { type EstProof, newEstRequest } from '../../operator/identity/request-facts.ts';
import type { Subject } from '../../operator/identity/subject.ts';
import { derOf, OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { type Ran, runProcess } from '../controlplane/helm.ts';
import { program } from '../controlplane/programs.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { type OperatorProcess, startEst } from '../harness/operator-process.ts';
import { pause, waitFor } from '../harness/wait.ts';
import { deviceManifest, type IdentityScene, setTheScene } from './identity-room.ts';

const ssl = new OpenSsl();
const file = (name: string): string => join(ssl.dir, name);
const TOKEN = (name: string): string => `one-time-${name}-0123456789`;
const BY_TOKEN = { enrollment: 'EST', est: { bootstrap: 'Token' } };

type Replica = OperatorProcess & { port: number };
type Identity = { key: string; cert: string };
let scene: IdentityScene;
let site: string;
let replicas: Replica[] = [];
let estclient: string;
let kubeconfig: string;

beforeAll(async () => {
  scene = await setTheScene(await sharedCluster(), { est: true });
  site = scene.site;
  estclient = (await program('estclient')).bin;
  const key = ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
  ssl.run(['req', '-x509', '-key', key, '-subj', '/CN=est', '-addext', 'subjectAltName=DNS:localhost', '-days', '2', '-out', 'est.crt']);
  writeFileSync(file('devices.crt'), (await scene.root()).toString());
  kubeconfig = await scene.cluster.kubeconfigFor({ serviceAccount: `${scene.own}/identity-room-est` });
  const options = {
    kubeconfig,
    namespace: scene.own,
    defaultIssuer: 'Issuer/devices',
    tls: { certFile: file('est.crt'), keyFile: file(key) },
    deviceCaFile: file('devices.crt'),
    logFile: file('est.log'),
  };
  replicas = await Promise.all([startEst(options), startEst(options)]);
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await scene?.end();
  ssl[Symbol.dispose]();
});

const newKey = (...args: string[]): string =>
  ssl.key(...(args.length > 0 ? args : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']));
const csrOf = (name: string, key: string): string =>
  ssl.write(ssl.request({ key, subject: `/O=hedgerow/OU=office.${site}/CN=${name}.${site}` }));
const certificatesOf = async (name: string): Promise<number> =>
  Object.values(await scene.ledger()).filter((entry) => entry.device === `${name}.${site}`).length;

async function addDevice(name: string, spec: object = { identity: BY_TOKEN }): Promise<void> {
  await scene.apply(deviceManifest(site, name, spec));
  await scene.until(name, 'Ready', 'False', 'AwaitingEnrolment');
}
/** As docs/guides/enrol-by-est.md tells a person to. */
async function giveToken(name: string): Promise<void> {
  const sha256 = createHash('sha256').update(TOKEN(name)).digest('hex');
  const text = `sha256:${sha256} ${new Date(Date.now() + 3_600_000).toISOString()}`;
  await scene.cluster.kubectl(['-n', site, 'create', 'secret', 'generic', 'hedgerow-est-tokens']);
  const patch = JSON.stringify({ stringData: { [name]: text } });
  await scene.run.kubectl('-n', site, 'patch', 'secret', 'hedgerow-est-tokens', '--type', 'merge', '-p', patch);
}

/** The foreign client; the token goes by a file, as its own users would do it. */
async function est(
  command: string,
  args: readonly string[],
  options: { as?: Identity; device?: string; port?: number } = {},
): Promise<Ran> {
  const { as, device } = options;
  const config = ssl.write(JSON.stringify(device === undefined ? {} : { username: `${device}.${site}`, password: TOKEN(device) }));
  const common = ['-config', file(config), '-server', `localhost:${options.port ?? replicas[0]?.port}`, '-explicit', file('est.crt')];
  const identity = as === undefined ? [] : ['-key', file(as.key), '-certs', file(as.cert)];
  return await runProcess([estclient, command, ...common, ...identity, '-timeout', '40s', ...args]);
}

async function enrol(name: string, key = newKey()): Promise<Identity> {
  const { stdout, stderr, code } = await est('enroll', ['-csr', file(csrOf(name, key))], { device: name });
  if (code !== 0) throw new Error(stderr);
  return { key, cert: ssl.write(stdout) };
}

describe("GlobalSign's estclient", () => {
  it('reads the CA and the attributes', async () => {
    const { stdout } = await est('cacerts', []);
    expect(new X509Certificate(stdout).fingerprint256).toBe((await scene.root()).fingerprint256);
    expect((await est('csrattrs', [])).stdout).toContain('1.2.840.10045.4.3.2');
  });

  it('enrols by a token, and the Device is Ready with that certificate, which was recorded first', async () => {
    await addDevice('cam-1');
    await giveToken('cam-1');
    const order = await scene.watchOrder();
    const leaf = new X509Certificate(ssl.file((await enrol('cam-1')).cert));
    await scene.until('cam-1', 'Ready', 'True', 'Issued');
    order.stop();
    expect(leaf.subject).toBe(`O=hedgerow\nOU=office.${site}\nCN=cam-1.${site}`);
    expect(leaf.verify((await scene.root()).publicKey)).toBe(true);
    const sha256 = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    expect((await scene.device('cam-1')).status?.identity?.fingerprint).toBe(sha256);
    expect(order.recorded.get(sha256)).toBeLessThan(order.handedOut.get(`${site}/cam-1`)?.version ?? 0);
    expect(Object.values(await scene.ledger()).find((entry) => entry.sha256 === sha256)).toMatchObject({ via: 'EST' });
  });

  it('re-enrols with its certificate and a new key, and again with the superseded one', async () => {
    await addDevice('cam-2');
    await giveToken('cam-2');
    const first = await enrol('cam-2');
    for (const time of ['next', 'after a rollback']) {
      const { stdout, stderr } = await est('reenroll', ['-csr', file(csrOf('cam-2', newKey()))], { as: first });
      expect(stderr, time).toBe('');
      await waitFor('the status to show it', async () =>
        (await scene.device('cam-2')).status?.certificate?.includes(new X509Certificate(stdout).toString().trim()) ? true : undefined,
      );
    }
    expect(await certificatesOf('cam-2')).toBe(3);
  });

  it('renews a Device whose manifest holds a CSR', async () => {
    const key = newKey();
    await scene.apply(deviceManifest(site, 'cam-3', { identity: { enrollment: 'CSR', csr: ssl.file(csrOf('cam-3', key)) } }));
    await scene.until('cam-3', 'Ready', 'True');
    const cert = ssl.write((await scene.device('cam-3')).status?.certificate ?? '');
    const { stdout, stderr } = await est('reenroll', ['-csr', file(csrOf('cam-3', newKey()))], { as: { key, cert } });
    expect(stderr).toBe('');
    await waitFor('the status to show it', async () =>
      (await scene.device('cam-3')).status?.certificate?.includes(new X509Certificate(stdout).toString().trim()) ? true : undefined,
    );
    await scene.until('cam-3', 'Ready', 'True', 'Issued');
  });

  it('enrols by a factory certificate with the serial number of the Device, and not with another', async () => {
    const maker = authority('/O=Maker/CN=Maker root');
    await scene.apply(
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'hedgerow-manufacturer-ca', namespace: site },
        stringData: { 'ca.crt': ssl.file(maker.cert) },
      },
      {
        apiVersion: 'hedgerow.dev/v1alpha1',
        kind: 'SegmentPolicy',
        metadata: { name: 'office', namespace: site },
        spec: { enrollment: { manufacturerCA: { secretRef: { name: 'hedgerow-manufacturer-ca', key: 'ca.crt' } } } },
      },
    );
    const spec = { hardware: { serial: 'A1B2' }, identity: { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } } };
    await addDevice('cam-4', spec);
    const request = (): string[] => ['-csr', file(csrOf('cam-4', newKey()))];
    expect((await est('enroll', request(), { as: factory(maker, 'ZZZZ') })).stderr).toContain('HR-EST-023');
    expect((await est('enroll', request(), { as: factory(authority('/O=Maker/CN=Maker root'), 'A1B2') })).stderr).toContain('HR-EST-021');
    expect(await certificatesOf('cam-4')).toBe(0);
    const { stdout, stderr } = await est('enroll', request(), { as: factory(maker, 'A1B2') });
    expect(stderr).toBe('');
    expect(new X509Certificate(stdout).subject).toContain(`CN=cam-4.${site}`);
  });

  it('is refused with a burnt token', async () => {
    await addDevice('cam-5');
    await giveToken('cam-5');
    await enrol('cam-5');
    const { code, stderr } = await est('enroll', ['-csr', file(csrOf('cam-5', newKey()))], { device: 'cam-5' });
    expect(code).not.toBe(0);
    expect(stderr).toContain('HR-EST-004');
    expect(await certificatesOf('cam-5')).toBe(1);
  });

  it('is refused with a key of another kind', async () => {
    await addDevice('cam-6');
    await giveToken('cam-6');
    for (const [args, code] of [
      [['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], 'HR-ID-007'],
      [['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'HR-ID-006'],
    ] as const) {
      const { stderr } = await est('enroll', ['-csr', file(csrOf('cam-6', newKey(...args)))], { device: 'cam-6' });
      expect(stderr).toContain(code);
    }
    expect(await certificatesOf('cam-6')).toBe(0);
  });

  it('is refused with a revoked certificate', async () => {
    await addDevice('cam-7');
    await giveToken('cam-7');
    const first = await enrol('cam-7');
    await scene.apply(deviceManifest(site, 'cam-7', { identity: BY_TOKEN, lifecycle: 'Revoked' }));
    await waitFor('the ledger to say so', async () =>
      Object.values(await scene.ledger()).some((entry) => entry.device === `cam-7.${site}` && entry.revoked !== undefined)
        ? true
        : undefined,
    );
    await waitFor('the EST server to refuse it', async () => {
      const { stderr } = await est('reenroll', ['-csr', file(csrOf('cam-7', newKey()))], { as: first });
      return /HR-EST-(012|006)/.test(stderr) ? true : undefined;
    });
    expect(await certificatesOf('cam-7')).toBe(1);
  });

  it('re-enrols with a certificate that expired within the offlineBudget, and not with one that expired longer ago', async () => {
    const short = { ...BY_TOKEN, duration: '20s', renewBefore: '19s' };
    await addDevice('cam-8', { identity: short, offlineBudget: '19s' });
    await giveToken('cam-8');
    const first = await enrol('cam-8');
    const end = new X509Certificate(ssl.file(first.cert)).validToDate.getTime();
    await pause(end + 1_000 - Date.now());
    const second = newKey();
    const { stdout, stderr } = await est('reenroll', ['-csr', file(csrOf('cam-8', second))], { as: first });
    expect(stderr).toBe('');
    expect(new X509Certificate(stdout).subject).toContain('CN=cam-8');
    await pause(end + 20_000 - Date.now());
    const late = await est('reenroll', ['-csr', file(csrOf('cam-8', newKey()))], { as: first });
    expect(late.stderr).toContain('HR-EST-013');
    expect(await certificatesOf('cam-8')).toBe(2);
  });

  it('is refused with an expired certificate of a foreign CA that has the name of ours', async () => {
    await addDevice('cam-9');
    const key = newKey();
    const foreign = authority(`/${(await scene.root()).subject.replaceAll('\n', '/')}`);
    const cert = sign(foreign, ssl.file(csrOf('cam-9', key)), { expired: true });
    const { stderr } = await est('reenroll', ['-csr', file(csrOf('cam-9', newKey()))], { as: { key, cert } });
    expect(stderr).toContain('HR-EST-010');
    expect(await certificatesOf('cam-9')).toBe(0);
  });
});

describe('curl and openssl', () => {
  it('enrol a device with nothing else', async () => {
    await addDevice('cam-10');
    await giveToken('cam-10');
    const body = ssl.write(derOf(ssl.file(csrOf('cam-10', newKey()))).toString('base64'));
    const netrc = ssl.write(`machine localhost login cam-10.${site} password ${TOKEN('cam-10')}\n`);
    const url = `https://localhost:${replicas[1]?.port}/.well-known/est/simpleenroll`;
    const tls = ['--cacert', file('est.crt'), '--netrc-file', file(netrc)];
    // A device whose clock is an hour slow says so in a Date header, if it says it at all.
    const headers = ['-H', 'Content-Type: application/pkcs10', '-H', `Date: ${new Date(Date.now() - 3_600_000).toUTCString()}`];
    const { stdout, code } = await runProcess(['curl', '-sS', '--fail-with-body', ...tls, ...headers, '--data', `@${file(body)}`, url]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^MII/) });
    const chain = ssl.run(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(stdout, 'base64')).toString();
    const leaf = ssl.write(chain);
    expect(ssl.run(['verify', '-CAfile', 'devices.crt', leaf]).toString()).toContain('OK');
  });
});

describe('somebody who took the EST server over', () => {
  it.each([
    ['a CA certificate', 'cam-12', { isCA: true }, 'it asks for a CA certificate'],
    ['a server certificate', 'cam-13', { usages: ['server auth'] }, 'it asks for other usages'],
    ['ten years', 'cam-14', { duration: '87600h0m0s' }, 'it asks for another duration'],
    ['the name of another Device', 'cam-15', { csrFor: 'cam-1' }, 'HR-ID-009'],
    [
      'a certificate by a proof that the Device does not have',
      'cam-16',
      { proof: { how: 'Manufacturer', ca: 'a'.repeat(64), key: 'b'.repeat(64) } },
      'may not prove itself',
    ],
    [
      'a certificate by one that was never issued',
      'cam-17',
      { proof: { how: 'Certificate', sha256: 'a'.repeat(64) } },
      'not in the ledger',
    ],
  ])('asks for %s and is denied', async (_what, name, change, because) => {
    await addDevice(name);
    const device = deviceProjection()(await scene.device(name));
    const { csrFor = name, proof = { how: 'Token' }, ...spec } = change as { csrFor?: string; proof?: EstProof };
    const csr = verifyCsr(ssl.file(csrOf(csrFor, newKey())), device.subject as Subject);
    const request = csr.ok ? csr : { pem: ssl.file(csrOf(csrFor, newKey())), hash: 'none' };
    const good = newEstRequest(device, request, { name: 'devices', kind: 'Issuer' }, proof);
    const wanted = { ...good, spec: { ...good.spec, ...spec } };
    const made = await scene.cluster.kubectl(['--kubeconfig', kubeconfig, 'create', '-f', '-'], JSON.stringify(wanted));
    expect(made.stderr).toBe('');
    const conditions = await waitFor('the operator to judge it', async () => {
      const { status } = await scene.run.get<{ status?: { conditions?: { type: string; status: string; message: string }[] } }>(
        'certificaterequest',
        wanted.metadata.name ?? '',
        '-n',
        site,
      );
      return status?.conditions?.some(({ type }) => type === 'Denied') ? status.conditions : undefined;
    });
    expect(conditions.find(({ type }) => type === 'Denied')).toMatchObject({ status: 'True', message: expect.stringContaining(because) });
    expect(conditions.find(({ type }) => type === 'Approved')).toBeUndefined();
    expect(await certificatesOf(name)).toBe(0);
  });
});

describe('two replicas', () => {
  it('give one certificate for 50 uses of one token at once', async () => {
    await addDevice('cam-11');
    await giveToken('cam-11');
    const requests = Array.from({ length: 50 }, () => file(csrOf('cam-11', newKey())));
    const ran = await Promise.all(
      requests.map((csr, n) => est('enroll', ['-csr', csr], { device: 'cam-11', port: replicas[n % 2]?.port ?? 0 })),
    );
    expect(ran.filter(({ code }) => code === 0)).toHaveLength(1);
    const refused = ran.filter(({ code }) => code !== 0).map(({ stderr }) => /HR-EST-\d{3}/.exec(stderr)?.[0] ?? stderr);
    expect(refused.filter((code) => code !== 'HR-EST-004' && code !== 'HR-EST-040')).toEqual([]);
    expect(await certificatesOf('cam-11')).toBe(1);
    const { items } = await scene.run.get<{ items: { metadata: { name: string } }[] }>('certificaterequests', '-n', site);
    expect(items.filter(({ metadata }) => metadata.name.startsWith('cam-11-'))).toHaveLength(1);
  });

  it('never write a token or its hash into their logs', () => {
    const log = ssl.file('est.log');
    expect(log).toContain('a certificate was handed out');
    expect(log).not.toContain('one-time-');
    for (const name of ['cam-1', 'cam-5', 'cam-11']) expect(log).not.toContain(createHash('sha256').update(TOKEN(name)).digest('hex'));
  });
});

function authority(subject: string): Identity {
  const key = newKey();
  const cert = ssl.write('');
  ssl.run(['req', '-x509', '-key', key, '-subj', subject, '-days', '3650', '-out', cert]);
  return { key, cert };
}

/** The name of a file with a certificate for this request; `more` = extensions. */
function sign(ca: Identity, csrPem: string, options: { more?: string; expired?: boolean } = {}): string {
  const base =
    '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=signed.txt\ndefault_md=sha256\npolicy=p\nunique_subject=no\nrand_serial=yes\n';
  const usages = 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n';
  const config = ssl.write(`${base}[p]\ncommonName=optional\n[v3]\n${usages}${options.more ?? ''}`);
  ssl.bash('touch signed.txt');
  const dates =
    options.expired === true ? ['-startdate', '20260101000000Z', '-enddate', '20260201000000Z'] : ['-enddate', '20491231000000Z'];
  const files = ['-config', config, '-cert', ca.cert, '-keyfile', ca.key, '-in', ssl.write(csrPem)];
  return ssl.write(ssl.run(['ca', '-batch', '-notext', '-preserveDN', ...files, ...dates, '-extensions', 'v3']).toString());
}

/** An IDevID: serialNumber in the subject, the same in a HardwareModuleName. */
function factory(maker: Identity, serial: string): Identity {
  const key = newKey();
  const request = ssl.request({ key, subject: `/O=Maker/serialNumber=${serial}` });
  const module = `[hw]\ntype=OID:1.3.6.1.4.1.99999.1\nserial=FORMAT:ASCII,OCT:${serial}\n`;
  const more = `subjectAltName=otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw\n${module}`;
  return { key, cert: sign(maker, request, { more }) };
}
