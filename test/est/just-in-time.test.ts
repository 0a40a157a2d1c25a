// Devices without a manifest, over real TLS, with the operator's identity room behind it: who comes in, under which name, and who does not.
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CONFIG_MAPS, DEVICES } from '../../operator/api/resources.ts';
import { registeredName } from '../../operator/identity/registered-device.ts';
import { createMaker, type FactoryDevice, type Maker, newKeys } from '../../operator/identity/testing/maker.ts';
import { type Answer, pemOf, startWorld, type World } from './world.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const SOON = { timeout: 30_000 };

let world: World;
let maker: Maker;
/** Another CA with the same name. */
let namesake: Maker;
const serials = (prefix: string, count: number): string => Array.from({ length: count }, (_, n) => `${prefix}-${n}`).join('\n');

beforeAll(async () => {
  world = await startWorld();
  maker = await createMaker();
  namesake = await createMaker();
  await world.letIn('office', maker, { lists: [`# first delivery\n${serials('S', 20)}`, `${serials('T', 5)}\nTWICE\nTWICE`] });
});
afterAll(async () => await world?.end());

const nameOf = (device: FactoryDevice, by = maker, namespace = 'berlin'): string =>
  registeredName({ ca: by.fingerprint, serial: device.serial }, namespace) as string;
type How = { segment?: string; name?: string; port?: number; request?: { key: string; body: string }; by?: Maker };
/** Asks as the device does: connects with its factory certificate and sends a request for the name that it has to have. */
function enrol(device: FactoryDevice, how: How = {}): Promise<Answer> {
  const { segment = 'office', name = nameOf(device, how.by), port } = how;
  const { body } = how.request ?? world.makeRequest(name, { segment });
  return world.ask('simpleenroll', { body, as: world.factoryFiles(device), ...(port === undefined ? {} : { port }) });
}
const certificatesOf = (name: string): number => world.ledger().filter((entry) => entry.device === `${name}.berlin`).length;
const devicesOf = (serial: string): string[] =>
  [...world.api.objects]
    .filter(([id, object]) => id.startsWith('devices/') && (object.spec as { hardware?: { serial?: string } }).hardware?.serial === serial)
    .map(([, { metadata }]) => metadata.name ?? '');

describe('a device whose serial number is listed', () => {
  it('becomes a Device under the name that its factory certificate stands for, and gets its certificate', async () => {
    const device = await maker.device('S-1');
    const answer = await enrol(device);
    expect(answer.body).not.toContain('HR-');
    expect(answer.status).toBe(200);
    const name = nameOf(device);
    expect(new X509Certificate(pemOf(world.ssl, answer)).subject).toBe(`O=hedgerow\nOU=office.berlin\nCN=${name}.berlin`);
    expect(world.device(name)).toMatchObject({
      metadata: { labels: { 'hedgerow.dev/origin': 'jit' }, annotations: { 'hedgerow.dev/registered-by': 'office' } },
      spec: { segment: 'office', hardware: { serial: 'S-1' }, identity: { enrollment: 'EST', est: { bootstrap: 'Manufacturer' } } },
    });
    await expect.poll(() => world.device(name)?.status?.certificate, SOON).toBeDefined();
    expect(certificatesOf(name)).toBe(1);
    expect(world.requests(name)).toHaveLength(1);
  });

  it('may lead to its maker over an intermediate CA that it sends', async () => {
    const device = await (await maker.line('Line 7')).device('S-2');
    expect((await enrol(device)).status).toBe(200);
    expect(devicesOf('S-2')).toEqual([nameOf(device)]);
  });

  it('whose answer was lost repeats the request and gets the same certificate', async () => {
    const device = await maker.device('S-3');
    const request = world.makeRequest(nameOf(device));
    const first = await enrol(device, { request });
    expect(first.status).toBe(200);
    expect(await enrol(device, { request })).toMatchObject({ status: 200, body: first.body });
    expect(certificatesOf(nameOf(device))).toBe(1);
  });

  it('after a factory reset, with the same factory certificate and a new key, is the same Device', async () => {
    const device = await maker.device('S-4');
    expect((await enrol(device)).status).toBe(200);
    expect((await enrol(device)).status).toBe(200);
    expect(devicesOf('S-4')).toEqual([nameOf(device)]);
    expect(certificatesOf(nameOf(device))).toBe(2);
  });

  it('learns the subject it has to ask for from /csrattrs, and any other client the same as ever', async () => {
    const device = await maker.device('S-5');
    const attributes = async (as?: FactoryDevice): Promise<string> => {
      const answer = await world.ask('csrattrs', as === undefined ? {} : { as: world.factoryFiles(as) });
      expect(answer.status).toBe(200);
      return world.ssl.run(['asn1parse', '-inform', 'DER', '-i'], Buffer.from(answer.body, 'base64')).toString();
    };
    const mine = await attributes(device);
    expect(mine).toMatch(new RegExp(`1\\.9\\.16\\.2\\.61[\\s\\S]*hedgerow[\\s\\S]*office\\.berlin[\\s\\S]*${nameOf(device)}\\.berlin`));
    expect(mine).toMatch(/id-ecPublicKey[\s\S]*ecdsa-with-SHA256/);
    expect(await attributes()).not.toContain('office');
    expect(await attributes(await namesake.device('S-5'))).not.toContain('office');
  });

  it.each([
    ['no subject that means anything', '/CN=localhost'],
    ['the name of another Device', '/O=hedgerow/OU=office.berlin/CN=thermo-1.berlin'],
    ['another segment', '/O=hedgerow/OU=nowhere.berlin/CN=x.berlin'],
  ])('that asks for %s is told the command that makes the right request, and nothing is made', async (_name, subject) => {
    const device = await maker.device('S-6');
    const answer = await enrol(device, { request: world.makeRequest('x', { subject }) });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatch(/^HR-ID-009/);
    expect(answer.body).toContain(`-subj /O=hedgerow/OU=office.berlin/CN=${nameOf(device)}.berlin`);
    expect(devicesOf('S-6')).toEqual([]);
    expect(world.requests(nameOf(device))).toEqual([]);
  });

  it('at two replicas at once, with the same request, is one Device with one certificate', async () => {
    const device = await maker.device('S-7');
    const second = await world.startEst();
    const request = world.makeRequest(nameOf(device));
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => enrol(device, { request, port: n % 2 === 0 ? world.port : second })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(devicesOf('S-7')).toEqual([nameOf(device)]);
    expect(certificatesOf(nameOf(device))).toBe(1);
    expect(world.requests(nameOf(device))).toHaveLength(1);
  });

  it('at two replicas at once, with two keys, is one Device', async () => {
    const device = await maker.device('S-8');
    const second = await world.startEst();
    const ask = async (port: number): Promise<Answer> => {
      const request = world.makeRequest(nameOf(device));
      for (;;) {
        const answer = await enrol(device, { request, port });
        if (answer.status !== 202 && !answer.body.startsWith('HR-ID-085')) return answer;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    };
    const answers = await Promise.all([ask(world.port), ask(second)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(devicesOf('S-8')).toEqual([nameOf(device)]);
  });

  it('that a person deleted does not come back with its key, and comes back with a new one', async () => {
    const device = await maker.device('S-9');
    const request = world.makeRequest(nameOf(device));
    expect((await enrol(device, { request })).status).toBe(200);
    await expect.poll(() => world.device(nameOf(device))?.status?.certificate, SOON).toBeDefined();
    await world.api.delete(DEVICES, { name: nameOf(device), namespace: 'berlin' });
    await expect
      .poll(
        () =>
          world
            .ledger()
            .filter((e) => e.device.startsWith(nameOf(device)))
            .map((e) => e.revoked?.reason),
        SOON,
      )
      .toEqual(['Retired']);
    await expect.poll(() => world.requests(nameOf(device)), SOON).toEqual([]);
    const again = await enrol(device, { request });
    expect(again.body).toContain('HR-ID-032');
    expect(devicesOf('S-9')).toEqual([]);
    expect((await enrol(device)).status).toBe(200);
    expect(devicesOf('S-9')).toEqual([nameOf(device)]);
  });
});

describe('a newcomer', () => {
  it('with the serial number of a device that is there, and another key in its factory certificate, is refused; the first is untouched', async () => {
    const first = await maker.device('S-10');
    expect((await enrol(first)).status).toBe(200);
    const before = structuredClone(world.device(nameOf(first)));
    const second = await enrol(await maker.device('S-10', { keys: await newKeys() }));
    expect(second.status).toBe(403);
    expect(second.body).toContain('HR-EST-024');
    expect(world.device(nameOf(first))?.metadata.uid).toBe(before?.metadata.uid);
    expect(certificatesOf(nameOf(first))).toBe(1);
    expect((await enrol(first)).status).toBe(200);
  });

  it('with the key of a device that is there is refused', async () => {
    const [first, second] = [await maker.device('S-11'), await maker.device('S-12')];
    const request = world.makeRequest(nameOf(first));
    expect((await enrol(first, { request })).status).toBe(200);
    const copied = await enrol(second, { request: world.makeRequest(nameOf(second), { key: request.key }) });
    expect(copied.status).toBe(403);
    expect(copied.body).toContain('HR-ID-031');
    expect(devicesOf('S-12')).toEqual([]);
  });

  it('with the serial number of a device of another maker is another Device with another name', async () => {
    await world.letIn('elsewhere', namesake, { lists: ['S-13'] });
    const [ours, theirs] = [await maker.device('S-13'), await namesake.device('S-13')];
    expect((await enrol(ours)).status).toBe(200);
    await expect.poll(async () => (await enrol(theirs, { segment: 'elsewhere', by: namesake })).status, SOON).toBe(200);
    expect(devicesOf('S-13').toSorted()).toEqual([nameOf(ours), nameOf(theirs, namesake)].toSorted());
    await expect
      .poll(() => devicesOf('S-13').map((name) => world.device(name)?.status?.conditions?.find((c) => c.type === 'Ready')?.status), SOON)
      .toEqual(['True', 'True']);
  });

  it.each<[string, string, (() => Promise<FactoryDevice>) | undefined, string]>([
    ['on no list', 'X-1', undefined, 'HR-ID-083'],
    ['listed twice', 'TWICE', undefined, 'HR-ID-084'],
    ['of another CA with the name of the maker’s', 'S-14', () => namesake.device('S-14'), 'HR-EST-021'],
    ['whose two serial numbers differ', 'S-15', () => maker.device('S-15', { moduleSerial: 'S-16' }), 'HR-EST-022'],
    ['whose factory certificate has expired', 'S-16', () => maker.device('S-16', { notAfter: new Date('2026-02-01') }), 'HR-EST-005'],
  ])('%s is refused with a code', async (_name, serial, make, code) => {
    const device = await (make?.() ?? maker.device(serial));
    const answer = await enrol(device);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain(code);
    expect(devicesOf(serial)).toEqual([]);
    expect(certificatesOf(nameOf(device))).toBe(0);
    if (code.startsWith('HR-ID'))
      expect(world.events).toContainEqual({ name: 'office', note: expect.objectContaining({ message: answer.body.trim() }) });
  });
});

describe('a SegmentPolicy', () => {
  it('makes no more Devices than its maximum, however many ask at once, and says so', async () => {
    await world.letIn('few', maker, { lists: [serials('F', 12)], enrollment: { maximum: 5 } });
    const devices = await Promise.all(Array.from({ length: 12 }, (_, n) => maker.device(`F-${n}`)));
    const requests = devices.map((device) => world.makeRequest(nameOf(device), { segment: 'few' }));
    const answers = await Promise.all(
      devices.map((device, n) => enrol(device, { segment: 'few', request: requests[n] as { key: string; body: string } })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(answers.filter(({ body }) => body.startsWith('HR-ID-087'))).toHaveLength(7);
    expect(devices.flatMap(({ serial }) => devicesOf(serial))).toHaveLength(5);
    await expect.poll(() => world.enrollment('few'), SOON).toMatchObject({ status: 'False', reason: 'MaximumReached', registered: 5 });
  });

  it('with approval by hand makes nothing; the Event shows a manifest, and once a person applied it the device comes in', async () => {
    await world.letIn('careful', maker, { enrollment: { serials: { patterns: ['P-*'] }, approval: 'Manual' } });
    const device = await maker.device('P-7');
    const request = world.makeRequest(nameOf(device), { segment: 'careful' });
    const refused = await enrol(device, { segment: 'careful', request });
    expect(refused.status).toBe(403);
    expect(refused.body).toContain('HR-ID-086');
    expect(devicesOf('P-7')).toEqual([]);
    const event = world.events.find(({ name }) => name === 'careful');
    expect(event?.note).toMatchObject({ type: 'Normal', reason: 'ApprovalNeeded' });
    const manifest = JSON.parse(/echo '(.*)' \| kubectl apply -f -/.exec(event?.note.message ?? '')?.[1] ?? '');
    await world.api.create(DEVICES, manifest);
    await expect.poll(async () => (await enrol(device, { segment: 'careful', request })).status, SOON).toBe(200);
    // The manifest names the one device that was approved.
    const other = await enrol(await maker.device('P-7', { keys: await newKeys() }), { segment: 'careful' });
    expect(other.body).toContain('HR-EST-024');
  });

  it('that is one of two that list the device, neither of which the device names, is not guessed', async () => {
    for (const segment of ['left', 'right']) await world.letIn(segment, maker, { lists: ['BOTH-1'] });
    await expect
      .poll(async () => (await enrol(await maker.device('BOTH-1'), { request: world.makeRequest('x', { subject: '/CN=x' }) })).body, SOON)
      .toMatch(/HR-EST-026.*left\.berlin, right\.berlin/);
    expect((await enrol(await maker.device('BOTH-1'), { segment: 'right' })).status).toBe(200);
  });

  it('whose list is missing, is a table, or comes back, says so, and lets nobody in meanwhile', async () => {
    await world.letIn('broken', maker, { lists: ['serial,model\nB-1,tmp-2'] });
    const device = await maker.device('B-1');
    await expect
      .poll(() => world.enrollment('broken'), SOON)
      .toMatchObject({
        status: 'False',
        reason: 'SerialListUnreadable',
        message: expect.stringContaining('line 1 of list in ConfigMap serials-of-broken-0'),
      });
    expect((await enrol(device, { segment: 'broken' })).body).toContain('HR-ID-088');
    await world.api.delete(CONFIG_MAPS, { name: 'serials-of-broken-0', namespace: 'berlin' });
    await expect.poll(async () => (await enrol(device, { segment: 'broken' })).body, SOON).toContain('serials-of-broken-0 does not exist');
    await world.api.create(CONFIG_MAPS, { metadata: { name: 'serials-of-broken-0', namespace: 'berlin' }, data: { list: 'B-1' } } as never);
    await expect.poll(async () => (await enrol(device, { segment: 'broken' })).status, { timeout: 50_000, interval: 1_000 }).toBe(200);
  });
});
