// The operator's identity room and any number of EST servers on one cluster in memory: real TLS, real files of keys and certificates, a CA that openssl plays.
import { createHash, X509Certificate } from 'node:crypto';
import { request as httpsRequest } from 'node:https';
import type { Device } from '../../operator/api/device.ts';
import { CERTIFICATE_REQUESTS, CONFIG_MAPS, DEVICES, ISSUERS, SECRETS, SEGMENT_POLICIES } from '../../operator/api/resources.ts';
import { createEnrol } from '../../operator/est/enrol.ts';
import { createLimiter } from '../../operator/est/limits.ts';
import { createEstServer, type EstServer } from '../../operator/est/server.ts';
import { createSecrets } from '../../operator/est/store.ts';
import { TOKENS_SECRET } from '../../operator/est/token.ts';
import { readPem } from '../../operator/identity/chain.ts';
import { createEnrolment, type Rotation } from '../../operator/identity/identity.ts';
import { decodeEntry, type LedgerEntry } from '../../operator/identity/ledger-entry.ts';
import { FakeCluster } from '../../operator/identity/testing/fake-cluster.ts';
import type { FactoryDevice, Maker } from '../../operator/identity/testing/maker.ts';
import { derOf, OpenSsl } from '../../operator/identity/testing/openssl.ts';
import { startRoom } from '../../operator/identity/testing/room.ts';
import { EST } from '../../operator/identity/testing/scene.ts';
import type { KubeClient } from '../../operator/kube/client.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import type { EventNote, Regarding } from '../../operator/runtime/events.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';

export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: string };
/** Files of a client certificate. */
export type Identity = { key: string; cert: string };
export type Ask = {
  /** Which server; the first by default. */
  port?: number;
  method?: string;
  body?: string | Buffer;
  type?: string;
  token?: [user: string, token: string];
  as?: Identity;
};

const HOUR_MS = 3_600_000;
const DAYS = (n: number): number => n * 24 * HOUR_MS;

export async function startWorld() {
  const ssl = new OpenSsl();
  const ca = authority(ssl, '/CN=site root');
  const tls = serverCertificate(ssl);
  const cluster = new FakeCluster(systemClock, (csr) => sign(ssl, ca, csr, new Date(Date.now() - 1_000), new Date(Date.now() + DAYS(30))));
  const { api } = cluster;
  api.timestamp = () => new Date().toISOString().replace(/[.]\d+Z$/, 'Z');
  const metrics = createMetrics();
  const shared = { clock: systemClock, random: systemRandom, log: silentLog, metrics };
  const defaultIssuer = { name: 'site-ca', kind: 'Issuer' } as const;
  await api.create(ISSUERS, {
    metadata: { name: 'site-ca', namespace: 'berlin' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  } as never);
  const events: { name: string; note: EventNote }[] = [];
  const recorder = { event: (of: Regarding, note: EventNote): void => void events.push({ name: of.name, note }) };
  const rotations = new Map<string, Rotation>();
  const room = startRoom({
    ...shared,
    recorder,
    rotationOf: (device) => rotations.get(device),
    client: cluster.client({ alive: true }),
    namespace: 'hedgerow',
    defaultIssuer,
    estUser: EST,
  });
  const authorities = readPem(ssl.file(ca.cert)) ?? [];
  const servers: EstServer[] = [];
  const stop = new AbortController();

  async function startEst(o: { waitMs?: number; perAddress?: number; perDevice?: number } = {}): Promise<number> {
    const client = withLatency(cluster.client({ alive: true }, EST));
    const enrolment = createEnrolment({ ...shared, metrics: createMetrics(), client, namespace: 'hedgerow', defaultIssuer });
    for (const reflector of enrolment.reflectors) void reflector.run(stop.signal);
    await Promise.all(enrolment.reflectors.map((reflector) => reflector.whenSynced(stop.signal)));
    const limiter = (burst: number) => createLimiter({ burst, refillEveryMs: 1_000, clock: systemClock });
    const { enrol, subjectFor } = createEnrol({
      enrolment,
      secrets: createSecrets(client, systemClock),
      authorities: () => authorities,
      perDevice: limiter(o.perDevice ?? 1_000),
      waitMs: o.waitMs ?? 20_000,
      clock: systemClock,
      log: silentLog,
    });
    const server = createEstServer({
      host: '127.0.0.1',
      port: 0,
      key: ssl.file(tls.key),
      cert: ssl.file(tls.cert),
      authorities: () => authorities,
      enrol,
      subjectFor,
      perAddress: limiter(o.perAddress ?? 1_000_000),
      observed: () => undefined,
      clock: systemClock,
      log: silentLog,
    });
    servers.push(server);
    return (await server.listen()).port;
  }

  const port = await startEst();
  await room.whenSynced();

  const world = {
    ssl,
    api,
    cluster,
    /** What the operator told people about SegmentPolicies. */
    events,
    enrollment: (segment: string) => room.registration.enrollment(`berlin/${segment}`),
    ca,
    tls,
    port,
    startEst,
    device: (name: string): Device | undefined => api.objects.get(`devices/berlin/${name}`) as unknown as Device | undefined,
    async addDevice(name: string, spec: object = { identity: { enrollment: 'EST', est: { bootstrap: 'Token' } } }): Promise<void> {
      await api.create(DEVICES, { metadata: { name, namespace: 'berlin' }, spec: { segment: 'office', ...spec } } as never);
    },
    /** What an Intervention of action Rotate that was created now comes to. */
    rotate(name: string, compromised = false): void {
      const at = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
      rotations.set(`berlin/${name}`, { at, ...(compromised ? { compromised: { at, by: 'Intervention r1 of alice' } } : {}) });
      room.wake(`berlin/${name}`);
    },
    async patchDevice(name: string, patch: object): Promise<void> {
      await api.mergePatch(DEVICES, { name, namespace: 'berlin' }, patch);
    },
    /** Gives the Device a one-time token. */
    async giveToken(name: string, token: string, forMs = HOUR_MS): Promise<void> {
      const text = `sha256:${createHash('sha256').update(token).digest('hex')} ${new Date(Date.now() + forMs).toISOString()}`;
      const data = { [name]: Buffer.from(text).toString('base64') };
      const ref = { name: TOKENS_SECRET, namespace: 'berlin' };
      if (api.objects.has(`secrets/berlin/${TOKENS_SECRET}`)) await api.mergePatch(SECRETS, ref, { data });
      else await api.create(SECRETS, { metadata: ref, data } as never);
    },
    async nameManufacturer(segment: string, ca: Identity | undefined): Promise<void> {
      const manufacturerCA = { secretRef: { name: `maker-of-${segment}`, key: 'ca.crt' } };
      await api.create(SEGMENT_POLICIES, {
        metadata: { name: segment, namespace: 'berlin' },
        spec: { enrollment: { manufacturerCA } },
      } as never);
      if (ca === undefined) return;
      const data = { 'ca.crt': Buffer.from(ssl.file(ca.cert)).toString('base64') };
      await api.create(SECRETS, { metadata: { name: `maker-of-${segment}`, namespace: 'berlin' }, data } as never);
    },
    /** A SegmentPolicy that lets devices of a maker in without a manifest, its CA and its lists. `lists`: text of a ConfigMap each. */
    async letIn(
      segment: string,
      maker: Maker,
      o: { lists?: string[]; enrollment?: object; namespace?: string; pinned?: string[] } = {},
    ): Promise<void> {
      const namespace = o.namespace ?? 'berlin';
      const lists = o.lists ?? [];
      const configMapRefs = lists.map((_list, n) => ({ name: `serials-of-${segment}-${n}`, key: 'list' }));
      for (const [n, list] of lists.entries())
        await api.create(CONFIG_MAPS, { metadata: { name: `serials-of-${segment}-${n}`, namespace }, data: { list } } as never);
      const data = { 'ca.crt': Buffer.from(maker.caPem).toString('base64') };
      await api.create(SECRETS, { metadata: { name: `maker-of-${segment}`, namespace }, data } as never);
      const manufacturerCA = { secretRef: { name: `maker-of-${segment}`, key: 'ca.crt' }, sha256: o.pinned ?? [maker.fingerprint] };
      const enrollment = { manufacturerCA, serials: { configMapRefs }, maximum: 100, approval: 'Auto', ...o.enrollment };
      await api.create(SEGMENT_POLICIES, { metadata: { name: segment, namespace }, spec: { enrollment } } as never);
    },
    /** As the maker made it, for `ask`. */
    factoryFiles: ({ key, cert }: FactoryDevice): Identity => ({ key: ssl.write(key), cert: ssl.write(cert) }),
    /** A key and the base64 body of a request for it. */
    makeRequest(name: string, o: { key?: string; segment?: string; subject?: string } = {}): { key: string; body: string } {
      const key = o.key ?? ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
      const pem = ssl.request({ key, subject: o.subject ?? `/O=hedgerow/OU=${o.segment ?? 'office'}.berlin/CN=${name}.berlin` });
      return { key, body: derOf(pem).toString('base64') };
    },
    ask: (path: string, ask: Ask = {}) => askServer(ssl, tls, path, { ...ask, port: ask.port ?? port }),
    /** Enrols by a fresh token; gives the files of key and certificate. */
    async enrolled(name: string, spec?: object): Promise<Identity> {
      await world.addDevice(name, spec);
      const token = `token-of-${name}-0123456789`;
      await world.giveToken(name, token);
      const { key, body } = world.makeRequest(name);
      const answer = await world.ask('simpleenroll', { body, token: [`${name}.berlin`, token] });
      if (answer.status !== 200) throw new Error(answer.body);
      return { key, cert: ssl.write(pemOf(ssl, answer)) };
    },
    ledger: (): LedgerEntry[] =>
      [...api.objects].flatMap(([id, page]) =>
        id.startsWith('certificateledgers/')
          ? Object.entries((page.spec as { entries: Record<string, string> }).entries).map(([k, t]) => decodeEntry(k, t) as LedgerEntry)
          : [],
      ),
    requests: (name: string): string[] =>
      [...api.objects.keys()].filter((id) => id.startsWith(`${CERTIFICATE_REQUESTS.plural}/berlin/${name}-`)),
    async revoke(name: string): Promise<void> {
      const ids = world
        .ledger()
        .filter((entry) => entry.device === `${name}.berlin`)
        .map((entry) => entry.id);
      await room.identity.ledger.revoke(ids, { reason: 'Revoked', by: 'alice' });
    },
    /** Puts a certificate into the ledger that the CA signed at another time. */
    async record(name: string, identity: Identity, o: { keepUntil?: number } = {}): Promise<void> {
      const leaf = new X509Certificate(ssl.file(identity.cert));
      const hash = (algorithm: string, bytes: Buffer): string => createHash(algorithm).update(bytes).digest('hex');
      const sha256 = hash('sha256', leaf.raw);
      await room.identity.ledger.append({
        id: sha256.slice(0, 32),
        device: `${name}.berlin`,
        deviceUid: world.device(name)?.metadata.uid ?? '',
        segment: 'office.berlin',
        issuer: 'Issuer/berlin/site-ca',
        serial: leaf.serialNumber.toLowerCase(),
        md5: hash('md5', leaf.raw),
        sha256,
        spki: hash('sha256', leaf.publicKey.export({ type: 'spki', format: 'der' })),
        notBefore: leaf.validFromDate.toISOString(),
        notAfter: leaf.validToDate.toISOString(),
        via: 'EST',
        ...(o.keepUntil === undefined ? {} : { keepUntil: new Date(o.keepUntil).toISOString() }),
      });
    },
    /** A certificate of this CA for this request, valid as told; the ledger does not know it. */
    signedBy(by: Identity, { key, body }: { key: string; body: string }, from: number, to: number, more = ''): Identity {
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${body.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`;
      return { key, cert: ssl.write(sign(ssl, by, pem, new Date(from), new Date(to), more)) };
    },
    async end(): Promise<void> {
      await Promise.all(servers.map((server) => server.close()));
      stop.abort(new Error('the world ends'));
      await room.stop();
      ssl[Symbol.dispose]();
    },
  };
  return world;
}
export type World = Awaited<ReturnType<typeof startWorld>>;

/** Answers take as long as over a network, so that two replicas can read the same state before either writes. */
function withLatency(client: KubeClient): KubeClient {
  const later = <T>(answer: Promise<T>): Promise<T> => answer.finally(() => new Promise((resolve) => setTimeout(resolve, 20)));
  return {
    ...client,
    get: (type, ref, signal) => later(client.get(type, ref, signal)),
    create: (type, object, signal) => later(client.create(type, object, signal)),
    mergePatch: (type, ref, patch, options, signal) => later(client.mergePatch(type, ref, patch, options, signal)),
  };
}

/** A self-signed CA. */
export function authority(ssl: OpenSsl, subject: string): Identity {
  const key = ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
  const cert = ssl.write('');
  ssl.run(['req', '-x509', '-key', key, '-subj', subject, '-days', '3650', '-out', cert]);
  return { key, cert };
}

function serverCertificate(ssl: OpenSsl): Identity {
  const key = ssl.key('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
  const cert = ssl.write('');
  ssl.run([
    'req',
    '-x509',
    '-key',
    key,
    '-subj',
    '/CN=est',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-days',
    '2',
    '-out',
    cert,
  ]);
  return { key, cert };
}

/** No key identifiers: a foreign CA with the name of ours differs by nothing but its signature. */
const DEVICE_USAGES = 'authorityKeyIdentifier=none\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n';

const CA_CONFIG = `[ca]
default_ca=d
[d]
new_certs_dir=.
database=signed.txt
default_md=sha256
policy=p
unique_subject=no
rand_serial=yes
[p]
commonName=optional
`;

/** PEM. `more` = further lines of extensions. `openssl x509` of version 3.0 cannot set the begin; `openssl ca` can. */
function sign(ssl: OpenSsl, ca: Identity, csrPem: string, from: Date, to: Date, more = ''): string {
  const usages = more.includes('CA:true') ? 'keyUsage=critical,keyCertSign\n' : DEVICE_USAGES;
  const config = ssl.write(`${CA_CONFIG}[v3]\n${usages}${more}`);
  ssl.bash('touch signed.txt');
  const stamp = (date: Date): string => `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  const dates = ['-startdate', stamp(from), '-enddate', stamp(to)];
  const files = ['-config', config, '-cert', ca.cert, '-keyfile', ca.key, '-in', ssl.write(csrPem)];
  return ssl.run(['ca', '-batch', '-notext', '-preserveDN', ...files, ...dates, '-extensions', 'v3']).toString();
}

/** The one certificate of an answer, as the openssl command reads the PKCS#7 in it. */
export function pemOf(ssl: OpenSsl, { body }: Answer): string {
  const text = ssl.run(['pkcs7', '-inform', 'DER', '-print_certs'], Buffer.from(body, 'base64')).toString();
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
  if (found.length !== 1) throw new Error(`the answer holds ${found.length} certificates`);
  return found[0] as string;
}

function askServer(ssl: OpenSsl, tls: Identity, path: string, ask: Ask & { port: number }): Promise<Answer> {
  const { token, as, body } = ask;
  const method = ask.method ?? (body === undefined ? 'GET' : 'POST');
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: ask.port,
        path: path.startsWith('/') ? path : `/.well-known/est/${path}`,
        method,
        agent: false,
        ca: ssl.file(tls.cert),
        ...(as === undefined ? {} : { key: ssl.file(as.key), cert: ssl.file(as.cert) }),
        headers: {
          ...(body === undefined ? {} : { 'content-type': ask.type ?? 'application/pkcs10', 'content-length': Buffer.byteLength(body) }),
          ...(token === undefined ? {} : { authorization: `Basic ${Buffer.from(token.join(':')).toString('base64')}` }),
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        );
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
