// A device of the fleet that is attacked: the reference device, whose broker and whose artifacts server are the attacker's, and whose power goes when the attacker is
// lucky. The ledger beside it is told by nobody: at every start it looks at the bytes that were started.
import { createHash, type generateKeyPairSync } from 'node:crypto';
import { preAuthentication } from '../../../operator/api/dsse.ts';
import type { DirectiveSigner } from '../../../operator/firmware/directive-signer.ts';
import { DIRECTIVE_TYPE } from '../../../operator/firmware/protocol.ts';
import type { Fetch } from '../../simulator/firmware/download.ts';
import { afterCut, type Cut, type Flash, memoryFlash, type Operation, recording } from '../../simulator/firmware/flash.ts';
import type { Directive } from '../../simulator/firmware/form.ts';
import { type Device, type Image, makeDevice, NOW } from '../../simulator/firmware/testing/site.ts';
import { compareVersions } from '../../simulator/firmware/version.ts';
import { DAY_MS, type Loot } from './loot.ts';

/** What stands at a URL: bytes, or what the server says to each request. */
export type Page = Buffer | Fetch;
export type Files = Map<string, Buffer>;

/** Where a device takes its time from. */
export const CLOCKS = ['right', 'none', 'of 1970', 'after the roots have expired'] as const;
export type Clock = (typeof CLOCKS)[number];
const SECONDS: Record<Clock, number | undefined> = {
  right: NOW / 1000,
  none: undefined,
  'of 1970': 3600,
  'after the roots have expired': (NOW + 91 * DAY_MS) / 1000,
};

class PowerCut extends Error {}

export type Prey = Awaited<ReturnType<typeof makePrey>>;
type Plan = {
  files: Files;
  clock: Clock;
  bootKeys: ReturnType<typeof generateKeyPairSync>;
  /** After so many operations on its memory the power goes. */
  cut?: { after: number; what: Cut };
};

/** Started, with what it had in its memory. */
export async function makePrey(loot: Loot, { files, clock, bootKeys, cut }: Plan) {
  const web = new Map<string, Page>();
  const ledger = ledgerOf(loot);
  const heard = { echo: '', end: '', sent: undefined as Buffer | undefined };
  let now = clock;
  let memory = poweredBy(files, cut);
  let device: Device;

  const put = (flash: Flash): Device => {
    const made = makeDevice(loot, flash, fetchFrom(web), { now: () => SECONDS[now], publish }, bootKeys);
    return made;
  };
  function publish(topic: 'hello' | 'state' | 'log', payload: string): Promise<boolean> {
    if (topic === 'hello') {
      heard.echo = (JSON.parse(payload) as { nonce: string }).nonce;
      ledger.started(device);
    } else heard.end = endOf(topic, payload) ?? heard.end;
    if (topic === 'state' && payload.includes('"state":"Confirmed"')) ledger.confirmed();
    return Promise.resolve(true);
  }
  device = put(memory);
  const powered = async (act: () => Promise<void>): Promise<void> => {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof PowerCut) || cut === undefined) throw error;
      memory = poweredBy(afterCut(files, memory.log, cut.after, cut.what), undefined);
      device = put(memory);
      await device.machine.start();
      // It stands on its topic, and the broker is the attacker's.
      if (heard.sent !== undefined) await device.machine.receive(heard.sent);
    }
  };
  await powered(() => device.machine.start());
  return {
    web,
    heard,
    violations: ledger.violations,
    starts: ledger.starts,
    files: (): Files => memory.files,
    operations: () => memory.log.length,
    async send(bytes: Buffer): Promise<void> {
      heard.sent = bytes;
      await powered(() => device.machine.receive(bytes));
    },
    restart: () => powered(() => device.machine.start()),
    /** What a directive has to quote to be of now. */
    time: (): number => SECONDS[now] ?? NOW / 1000,
    setClock(to: Clock): void {
      now = to;
    },
    /** What it runs at the end; undefined: it starts no more. */
    runs: (): string | undefined => device.machine.booted?.digest,
  };
}

/** The state or the drop that a message tells of. */
function endOf(topic: 'state' | 'log', payload: string): string | undefined {
  if (topic === 'log') return payload.startsWith('a directive was dropped') ? payload.replace('a directive was ', '') : undefined;
  const { state, code } = JSON.parse(payload) as { state: string; code?: number };
  return code === undefined ? state : `${state} ${code}`;
}

function poweredBy(files: Files, cut: Plan['cut']): Flash & { log: Operation[]; files: Files } {
  const inside = memoryFlash(new Map([...files].map(([file, bytes]) => [file, Buffer.from(bytes)])));
  const flash = recording(inside);
  const after = (): void => {
    if (cut !== undefined && flash.log.length >= cut.after) throw new PowerCut();
  };
  const then =
    <A extends unknown[]>(act: (...args: A) => void) =>
    (...args: A): void => {
      act(...args);
      after();
    };
  return { ...flash, files: inside.files, write: then(flash.write), truncate: then(flash.truncate), sync: then(flash.sync) };
}

const fetchFrom =
  (web: ReadonlyMap<string, Page>): Fetch =>
  async (url, from, most) => {
    const page = web.get(url);
    if (page === undefined) return { status: 404 };
    return typeof page === 'function' ? page(url, from, most) : { bytes: page.subarray(from, from + most) };
  };

/** What the offline keys have signed for this hardware, and how low the device may go. It believes bytes, not what devices say of themselves. */
function ledgerOf({ genuine }: Loot) {
  const { otherHardware: _, otherComponent: __, ...fit } = genuine;
  const known = new Map<string, Image & { floor: string }>();
  for (const [name, image] of Object.entries(fit)) known.set(image.digest, { ...image, floor: FLOORS[name] ?? '0.0.0' });
  const least = { counter: genuine.current.securityCounter, version: FLOORS.current ?? '' };
  const violations: string[] = [];
  const starts = new Map<string, number>();
  let running: (Image & { floor: string }) | undefined;
  function confirmed(): void {
    if (running === undefined) return;
    least.counter = Math.max(least.counter, running.securityCounter);
    if (compareVersions(running.floor, least.version) > 0) least.version = running.floor;
  }
  return {
    violations,
    starts,
    confirmed,
    started({ machine: { booted } }: Device): void {
      const digest = `sha256:${createHash('sha256')
        .update(booted?.image ?? '')
        .digest('hex')}`;
      running = known.get(digest);
      const what = running?.version ?? digest;
      starts.set(what, (starts.get(what) ?? 0) + 1);
      if (running === undefined) violations.push(`started what nobody signed: ${booted?.version}`);
      else if (running.securityCounter < least.counter) violations.push(`started ${what}, below the counter ${least.counter}`);
      else if (compareVersions(running.version, least.version) < 0) violations.push(`started ${what}, below the floor ${least.version}`);
      if (booted?.mode === 'Normal') confirmed();
    },
  };
}

/** minVersionFloor of the images: what is confirmed raises the device's. */
const FLOORS: Partial<Record<string, string>> = { current: '2.3.5', failing: '2.5.1' };

/** Signed as whoever holds the key signs, whatever it says: nothing of the operator's own checks. */
export function sealed(directive: Directive, { keyId, x5c, sign }: DirectiveSigner): Buffer {
  const payload = Buffer.from(JSON.stringify(directive));
  const signature = { keyid: keyId, sig: sign(preAuthentication(DIRECTIVE_TYPE, payload)).toString('base64') };
  const chain = x5c.map((der) => der.toString('base64'));
  return Buffer.from(
    JSON.stringify({
      payload: payload.toString('base64'),
      payloadType: DIRECTIVE_TYPE,
      signatures: [{ ...signature, x5c: chain }],
    }),
  );
}
