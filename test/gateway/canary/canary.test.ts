// The canary of the egress contract: 100,000 messages in which every field that a device fills is a text or a number that occurs nowhere else. None of them is in what a
// subscriber at the cloud hears, nor in what was said on the wire, decrypted. Devices of a second segment, whose policy says Raw, show that the search would find them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../broker/testing/device.ts';
import { makeServerCertificate } from '../../harness/certificates.ts';
import { waitFor } from '../../harness/wait.ts';
import { configOf, deviceOf, type GatewayProcess, type GatewaySite, SITE, segmentOf, startGatewaySite } from '../site.ts';
import { createFuzz, type Fuzz } from './fuzz.ts';
import { type SiteBroker, startSiteBroker } from './site-broker.ts';
import { decrypted } from './tls13.ts';
import { encodingsIn, numbersIn, textsIn } from './tokens.ts';
import { startTap, type Tap } from './wire.ts';

const MESSAGES = 100_000;
const OF_RAW = 5_000;
const SPAN_MS = 100_000;
const [OFFICE, LAB] = [`office.${SITE}`, `lab.${SITE}`];
/** The gateway says `dt/…` to nobody but the local broker; whoever reads the capture sees these words of it. */
const UPLINKED = ['agg/berlin/', 'alert/berlin/'];

let site: GatewaySite;
let broker: SiteBroker;
let tap: Tap;
let gateway: GatewayProcess;
let reader: Device;
let keyLog: string;
let office: Fuzz;
let lab: Fuzz;
/** What stands in the messages, and in what is known of the devices. */
const said = {
  office: { texts: new Set<string>(), numbers: new Set<number>() },
  lab: { texts: new Set<string>(), numbers: new Set<number>(), good: 0 },
};
const before = process.env.NODE_OPTIONS;

beforeAll(async () => {
  const startMs = Date.now() - SPAN_MS - 10_000;
  office = createFuzz({ seed: 1, site: SITE, segment: OFFICE, devices: 40, startMs, stepMs: SPAN_MS / MESSAGES });
  lab = createFuzz({ seed: 2, site: SITE, segment: LAB, devices: 10, startMs, stepMs: SPAN_MS / OF_RAW });
  const strict = { type: 'object', properties: { celsius: { type: 'number' } }, required: ['celsius'], additionalProperties: false };
  const segment = {
    ...{ groupBy: 'room', windowMs: 5_000, maxBytes: 4_000, onViolation: 'Alert' as const },
    detect: [{ stream: 'climate', field: 'celsius', range: { max: 85 } }],
  };
  const devicesOf = (fuzz: Fuzz, name: string) =>
    fuzz.devices.map(({ name: device, uid, label }, at) =>
      deviceOf(device.split('.', 1)[0] ?? '', { uid, segment: name, labels: { room: at % 2 === 0 ? 'hall' : 'attic', owner: label } }),
    );
  site = await startGatewaySite({
    config: configOf(
      segmentOf({ ...segment, schemas: [{ topic: `dt/${OFFICE}/+/strict`, schema: strict }] }),
      segmentOf({
        ...segment,
        name: LAB,
        egress: 'Raw',
        rawUntil: new Date(Date.now() + 86_400_000).toISOString(),
        schemas: [{ topic: `dt/${LAB}/+/strict`, schema: strict }],
      }),
    ),
    devices: [...devicesOf(office, OFFICE), ...devicesOf(lab, LAB)],
  });
  const server = await makeServerCertificate();
  broker = await startSiteBroker({ ca: site.ca.certPem, cert: server.certPem, key: server.keyPem });
  tap = await startTap(site.cloudAddress);
  reader = await site.connect(site.cloudAddress, 'reader.cloud', 'readers.cloud');
  expect(await reader.subscribe('#')).toBe('granted 1');
  const file = (name: string): string => join(site.dir, name);
  mkdirSync(file('keys'));
  keyLog = file('keys/log');
  writeFileSync(file('site-broker.pem'), server.caPem);
  process.env.NODE_OPTIONS = `--tls-keylog=${keyLog}`;
  gateway = await site.startGateway([
    ...['--broker', `localhost:${broker.port}`, '--broker-ca-file', file('site-broker.pem')],
    ...['--uplink', `localhost:${tap.port}`, '--uplink-ca-file', file('ca.pem'), '--uplink-rate', '10000'],
    ...['--uplink-cert-file', file('gateway.crt'), '--uplink-key-file', file('gateway.key')],
  ]);
  await broker.deliver(remembering(office, MESSAGES, said.office, () => true));
  await broker.deliver(
    remembering(lab, OF_RAW, said.lab, ({ isGood }) => {
      said.lab.good += Number(isGood);
      return isGood;
    }),
  );
  let missing = 0;
  await waitFor(
    'all to be at the cloud',
    async () => {
      missing = await left();
      return missing === 0 ? true : undefined;
    },
    { timeoutMs: 120_000, describe: () => `${missing} are missing` },
  );
}, 300_000);

afterAll(async () => {
  if (before === undefined) delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = before;
  await broker?.close();
  await tap?.close();
  await site?.stop();
});

/** Messages of the lab that the subscriber does not have yet; when it has all, and trends and alerts, what waits in the spool. */
async function left(): Promise<number> {
  const count = (root: string): number => reader.received.filter(({ topic }) => topic.startsWith(`${root}/`)).length;
  const missing = said.lab.good - count('raw');
  return missing > 0 || count('agg') === 0 || count('alert') === 0
    ? Math.max(1, missing)
    : await gateway.metric('fleet_gateway_spool_waiting');
}

function* remembering(
  fuzz: Fuzz,
  count: number,
  into: { texts: Set<string>; numbers: Set<number> },
  counts: (one: { isGood: boolean }) => boolean,
) {
  for (const one of fuzz.messages(count)) {
    if (counts(one)) {
      for (const text of one.texts) into.texts.add(text);
      for (const number of one.numbers) into.numbers.add(number);
    }
    yield one;
  }
}

/** What the gateway said on the uplink, all connections together. */
function onTheWire(): Buffer {
  const log = readFileSync(keyLog, 'utf8');
  return Buffer.concat(tap.captured().map((wire) => decrypted(wire, log).fromClient));
}

const atTheCloud = (): Buffer => Buffer.from(reader.received.map(({ topic, payload }) => `${topic} ${payload}\n`).join(''));
const none = new Set();
const missing = <T>(wanted: ReadonlySet<T>, found: ReadonlySet<T>): T[] => [...wanted].filter((one) => !found.has(one));
const common = <T>(one: ReadonlySet<T>, other: ReadonlySet<T>): T[] => [...one].filter((each) => other.has(each));

describe('of 100,000 messages', () => {
  it('most are taken, and trends, alerts and Raw leave', async () => {
    expect(said.office.texts.size).toBeGreaterThan(MESSAGES);
    expect(said.office.numbers.size).toBeGreaterThan(2 * MESSAGES);
    expect(await gateway.metric('fleet_gateway_messages_total', { result: 'accepted' })).toBeGreaterThan(0.6 * MESSAGES);
    const wire = onTheWire().toString('latin1');
    for (const words of [...UPLINKED, `raw/${SITE}/lab/`]) expect(wire).toContain(words);
    const kinds = new Set(reader.received.map(({ topic }) => topic.split('/').slice(0, 3).join('/')));
    expect([...kinds].sort()).toEqual(expect.arrayContaining([`agg/${SITE}/office`, `alert/${SITE}/office`, `raw/${SITE}/lab`]));
    expect([...kinds].some((kind) => kind === `raw/${SITE}/office`)).toBe(false);
  });

  it('the control finds every text and number of the segment that says Raw, on the wire and at the subscriber', () => {
    for (const bytes of [onTheWire(), atTheCloud()]) {
      expect(missing(said.lab.texts, textsIn(bytes))).toEqual([]);
      expect(missing(said.lab.numbers, numbersIn(bytes, said.lab.numbers))).toEqual([]);
    }
  });

  it('none has left anything of a device: no text, no number, no name, in whatever encoding', () => {
    const ofDevices = office.devices.flatMap(({ name, uid, label }) => [name.split('.', 1)[0] ?? '', uid, label]);
    const texts = new Set([...said.office.texts, ...ofDevices]);
    const numbers = new Set([...said.office.numbers, ...office.devices.map(({ boot }) => boot)]);
    for (const bytes of [onTheWire(), atTheCloud()]) {
      expect(common(textsIn(bytes), texts)).toEqual([]);
      expect(numbersIn(bytes, numbers)).toEqual(none);
    }
    const ofOffice = Buffer.from(
      reader.received
        .filter(({ topic }) => !topic.startsWith('raw/'))
        .map(({ topic, payload }) => `${topic} ${payload}`)
        .join('\n'),
    );
    expect(encodingsIn(ofOffice)).toEqual([]);
    expect(textsIn(ofOffice)).toEqual(none);
  });
});

it('of devices that are no Devices any more the gateway has nothing on its disk, and says so', async () => {
  const gone = office.devices.slice(0, 3);
  const names = new Set(gone.flatMap(({ name, uid }) => [name.split('.', 1)[0] ?? '', uid]));
  expect(common(names, onDisk()).length).toBe(names.size);
  const kept = JSON.parse(readFileSync(join(site.dir, 'devices.json'), 'utf8')) as ReturnType<typeof deviceOf>[];
  const erasures = (): number => reader.received.filter(({ topic }) => topic === `alert/${SITE}/site/erased`).length;
  site.setDevices(kept.filter(({ name }) => !gone.some((one) => one.name === name)));
  await waitFor('the erasures', async () => (erasures() === gone.length ? true : undefined), { timeoutMs: 60_000 });
  expect(common(names, onDisk())).toEqual([]);
  expect(common(names, textsIn(onTheWire()))).toEqual([]);
  expect(await gateway.stop()).toBe(0);
  expect(common(names, onDisk())).toEqual([]);
});

function onDisk(): Set<string> {
  const files = readdirSync(site.stateDir, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return textsIn(
    Buffer.concat(files.map(({ parentPath, name }) => Buffer.concat([Buffer.from(`${name}\n`), readFileSync(join(parentPath, name))]))),
  );
}
