import { describe, expect, it } from 'vitest';
import type { KnownDevice } from '../site/devices.ts';
import { type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { openResidents, type ResidentsOptions } from './residents.ts';

const device = (name: string, uid = `uid-${name}`): KnownDevice => ({
  ...{ name: `${name}.berlin`, uid, segment: 'office.berlin', labels: {}, lifecycle: 'Active' },
});
const [A, B] = [device('a'), device('b')];

async function world(of: { known: KnownDevice[]; synced?: boolean; disk?: MemoryDisk; more?: Partial<ResidentsOptions> }) {
  const disk = of.disk ?? memoryDisk();
  const told: string[] = [];
  const devices = {
    isSynced: () => of.synced ?? true,
    get: (name: string) => of.known.find((one) => one.name === name),
    all: () => of.known,
  };
  let made = 0;
  const residents = await openResidents({
    disk,
    devices,
    isNamed: () => false,
    pseudonym: () => {
      made += 1;
      return String(made + 100 * disk.log.length).padStart(32, '0');
    },
    erase: async (name) => {
      told.push(`erase ${name}`);
      return 3;
    },
    erased: async (ref, { records }) => void told.push(`erased ${ref} ${records}`),
    clock: { now: () => 1 },
    ...of.more,
  });
  const text = (): string => [...disk.files().values()].map(String).join();
  return { residents, told, disk, text, known: of.known };
}

describe('residents', () => {
  it('lets no device be heard before it is on disk', async () => {
    const { residents, text } = await world({ known: [A] });
    expect(residents.devices.get(A.name)).toBeUndefined();
    expect([...residents.devices.all()]).toEqual([]);
    await residents.follow();
    expect(residents.devices.get(A.name)).toEqual(A);
    expect([...residents.devices.all()]).toEqual([A]);
    expect(text()).toContain(`${A.name} ${A.uid} ${residents.refOf(A.name, true)}`);
  });

  it('gives each device a name of its own, and the same again after a restart', async () => {
    const first = await world({ known: [A, B] });
    await first.residents.follow();
    const refs = [first.residents.refOf(A.name, true), first.residents.refOf(B.name, true)];
    expect(new Set(refs).size).toBe(2);
    const again = await world({ known: [A, B], disk: memoryDisk(first.disk.files()) });
    expect([again.residents.refOf(A.name, true), again.residents.refOf(B.name, true)]).toEqual(refs);
    await again.residents.follow();
    expect(again.disk.log).toEqual([]);
  });

  it('erases who is gone, says so by the name that the world knows, and forgets that name last', async () => {
    const { residents, told, text, known } = await world({ known: [A, B] });
    await residents.follow();
    const ref = residents.refOf(A.name, true);
    known.shift();
    expect(residents.refOf(A.name, true)).toBeUndefined();
    await residents.follow();
    expect(told).toEqual([`erase ${A.name}`, `erased ${ref} 3`]);
    expect(text()).not.toContain(A.name);
    expect(text()).not.toContain(ref);
    await residents.follow();
    expect(told).toHaveLength(2);
  });

  it('erases who went while the gateway did not run', async () => {
    const before = await world({ known: [A, B] });
    await before.residents.follow();
    const { residents, told } = await world({ known: [B], disk: memoryDisk(before.disk.files()) });
    await residents.follow();
    expect(told[0]).toBe(`erase ${A.name}`);
  });

  it('erases the one before when another Device has its name, and hears the other only then, under another pseudonym', async () => {
    const { residents, told, known } = await world({ known: [A] });
    await residents.follow();
    const ref = residents.refOf(A.name, true);
    known[0] = device('a', 'another');
    expect(residents.devices.get(A.name)).toBeUndefined();
    await residents.follow();
    expect(told).toEqual([`erase ${A.name}`, `erased ${ref} 3`]);
    expect(residents.devices.get(A.name)?.uid).toBe('another');
    expect(residents.refOf(A.name, true)).not.toBe(ref);
  });

  it('knows those from before by their names, and hears nobody, while it does not know who is there', async () => {
    const before = await world({ known: [A] });
    await before.residents.follow();
    const { residents } = await world({ known: [], synced: false, disk: memoryDisk(before.disk.files()) });
    expect(residents.refOf(A.name, true)).toBe(before.residents.refOf(A.name, true));
    expect(residents.devices.get(A.name)).toBeUndefined();
  });

  it('erases nobody while it does not know who is there', async () => {
    const before = await world({ known: [A] });
    await before.residents.follow();
    const { residents, told } = await world({ known: [], synced: false, disk: memoryDisk(before.disk.files()) });
    await residents.follow();
    expect(told).toEqual([]);
  });

  it('calls a device by its name only when that is on disk, and then it is erased by both', async () => {
    const of = { named: false };
    const { residents, told, known } = await world({ known: [A], more: { isNamed: () => of.named } });
    await residents.follow();
    const ref = residents.refOf(A.name, true);
    expect(residents.refOf(A.name, false)).toBe(ref);
    of.named = true;
    await residents.follow();
    expect(residents.refOf(A.name, false)).toBe(A.name);
    expect(residents.refOf(A.name, true)).toBe(ref);
    of.named = false;
    known.shift();
    await residents.follow();
    expect(told).toEqual([`erase ${A.name}`, `erased ${ref} 3`, `erased ${A.name} 3`]);
  });

  it.each(['erase', 'erased'] as const)('does it again from the beginning when %s failed', async (what) => {
    const of = { fails: true };
    const before = await world({ known: [A] });
    await before.residents.follow();
    const told: string[] = [];
    const act = async (name: string) => {
      told.push(name);
      if (of.fails) throw new Error('the disk');
      return 0;
    };
    const more = what === 'erase' ? { erase: act } : { erased: async (ref: string) => void (await act(ref)) };
    const { residents } = await world({ known: [], disk: memoryDisk(before.disk.files()), more });
    await expect(residents.follow()).rejects.toThrow('the disk');
    of.fails = false;
    await residents.follow();
    await residents.follow();
    expect(told).toHaveLength(2);
  });

  it('does not begin with a file that is not whole: it would not know whom to erase', async () => {
    const { residents, disk } = await world({ known: [A, B] });
    await residents.follow();
    const whole = disk.files().get('residents') ?? Buffer.alloc(0);
    for (const bytes of [
      whole.subarray(0, -2),
      whole.subarray(0, 30),
      Buffer.from(String(whole).replace(/^a[.].*\n/m, '')),
      Buffer.alloc(9),
    ])
      await expect(world({ known: [A], disk: memoryDisk(new Map([['residents', bytes]])) })).rejects.toMatchObject({ code: 'HR-GW-404' });
  });

  it('begins with what was before when the power went while it wrote', async () => {
    const before = await world({ known: [A] });
    await before.residents.follow();
    const files = new Map([...before.disk.files(), ['residents.new', Buffer.from('residents 1\na.ber')]]);
    const { residents, disk } = await world({ known: [A], disk: memoryDisk(files) });
    expect(residents.devices.get(A.name)).toEqual(A);
    expect([...disk.files().keys()]).toEqual(['residents']);
  });
});
