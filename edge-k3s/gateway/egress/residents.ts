// Of which devices this gateway has something, and by which name the world knows them. It is on disk before anything of the device is, and goes last: so a device
// that is deleted, while the gateway runs or while it does not, is found here and erased everywhere. The pseudonym is random; nobody can make it from the name.
import type { Clock } from '../../../operator/runtime/clock.ts';
import { Refused, refusedBy } from '../errors.ts';
import type { Devices, KnownDevice } from '../site/devices.ts';
import type { Disk } from '../spool/disk.ts';

export type Residents = {
  /** Of the given ones those that may be listened to. A device that is new is there as soon as it is on disk; one that is deleted is not any more, before it is erased. */
  readonly devices: Devices;
  /** How a message calls it. Its name only when it is on disk that the name has left: what is erased is erased under that name too. */
  refOf(device: string, pseudonyms: boolean): string | undefined;
  /** Makes what is here as the devices are: erases who is gone, takes in who is new. What fails is done again by the next call. */
  follow(): Promise<void>;
};

export type ResidentsOptions = {
  disk: Disk;
  devices: Devices;
  /** Whether the policy of the device lets its name out. */
  isNamed(device: KnownDevice): boolean;
  /** 128 random bits, lower-case hexadecimal. */
  pseudonym(): string;
  /** Resolves with the number of records when nothing of the device is on disk but what is here. */
  erase(device: string): Promise<number>;
  /** Resolves when it is in the spool that the site has nothing of who was called so. */
  erased(ref: string, what: { uid: string; records: number; atMs: number }): Promise<void>;
  clock: Pick<Clock, 'now'>;
};

type Resident = { uid: string; pseudonym: string; isNamed: boolean };
const FILE = 'residents';
const HEAD = 'residents 1';

/** Rejects with `Refused` HR-GW-404 when its file does not read. */
export async function openResidents(o: ResidentsOptions): Promise<Residents> {
  let residents = await load(o.disk);
  let lane: Promise<void> = Promise.resolve();
  const isHome = (known: KnownDevice): boolean => residents.get(known.name)?.uid === known.uid;

  async function save(next: Map<string, Resident>): Promise<void> {
    await write(o.disk, next);
    residents = next;
  }

  async function eraseGone(): Promise<void> {
    for (const [device, { uid, pseudonym, isNamed }] of residents) {
      if (o.devices.get(device)?.uid === uid) continue;
      const records = await o.erase(device);
      for (const ref of [pseudonym, ...(isNamed ? [device] : [])]) await o.erased(ref, { uid, records, atMs: o.clock.now() });
      await save(new Map([...residents].filter(([name]) => name !== device)));
    }
  }

  async function takeIn(): Promise<void> {
    const next = new Map(residents);
    for (const known of o.devices.all()) {
      const resident = residents.get(known.name);
      // Of another uid: it came between, and the one before is erased first.
      if (resident !== undefined && resident.uid !== known.uid) continue;
      const isNamed = resident?.isNamed === true || o.isNamed(known);
      if (resident?.isNamed === isNamed) continue;
      next.set(known.name, { uid: known.uid, pseudonym: resident?.pseudonym ?? o.pseudonym(), isNamed });
    }
    if ([...next].some(([name, one]) => residents.get(name) !== one)) await save(next);
  }

  return {
    devices: {
      isSynced: () => o.devices.isSynced(),
      get(name) {
        const known = o.devices.get(name);
        return known !== undefined && isHome(known) ? known : undefined;
      },
      *all() {
        for (const known of o.devices.all()) if (isHome(known)) yield known;
      },
    },
    refOf(device, pseudonyms) {
      const resident = residents.get(device);
      // At a start the journal is read before anybody knows who is there.
      if (resident === undefined || (o.devices.isSynced() && o.devices.get(device)?.uid !== resident.uid)) return undefined;
      return !pseudonyms && resident.isNamed ? device : resident.pseudonym;
    },
    follow() {
      const next = lane.then(async () => {
        if (!o.devices.isSynced()) return;
        await eraseGone();
        await takeIn();
      });
      lane = next.catch(() => undefined);
      return next;
    },
  };
}

async function load(disk: Disk): Promise<Map<string, Resident>> {
  const names = (await disk.list()).map(({ name }) => name);
  if (names.includes(`${FILE}.new`)) await disk.remove(`${FILE}.new`);
  if (!names.includes(FILE)) return new Map();
  const lines = (await disk.read(FILE)).toString('utf8').split('\n');
  // The last line says that none is missing: renamed files are whole, but disks are not.
  if (lines[0] !== HEAD || lines.at(-2) !== `${lines.length - 3}` || lines.at(-1) !== '') throw new Refused('HR-GW-404');
  return new Map(lines.slice(1, -2).map(resident));
}

function resident(line: string): [string, Resident] {
  const [name = '', uid = '', pseudonym = '', isNamed] = line.split(' ');
  if (name === '' || uid === '' || !/^[0-9a-f]{32}$/.test(pseudonym)) throw new Refused('HR-GW-404');
  return [name, { uid, pseudonym, isNamed: isNamed === 'named' }];
}

async function write(disk: Disk, residents: ReadonlyMap<string, Resident>): Promise<void> {
  const lines = [...residents].map(([name, { uid, pseudonym, isNamed }]) => `${name} ${uid} ${pseudonym}${isNamed ? ' named' : ''}`);
  try {
    await disk.remove(`${FILE}.new`);
    await disk.append(`${FILE}.new`, Buffer.from(`${[HEAD, ...lines, lines.length].join('\n')}\n`));
    await disk.sync(`${FILE}.new`);
    await disk.rename(`${FILE}.new`, FILE);
    await disk.syncNames();
  } catch (error) {
    throw refusedBy(error);
  }
}
