import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { percentText, sizeOf } from './size.ts';
import { type Candidate, planWaves } from './waves.ts';

type Wave = Partial<FirmwareReleaseSpec['rollout']['waves'][number]> & { name: string };
type Artifact = FirmwareReleaseSpec['artifacts'][number];

const artifact = (name: string, more: Partial<Artifact> = {}): Artifact => ({
  name,
  oci: `registry.example.com/fw/cam@sha256:${'a'.repeat(64)}`,
  format: 'raw',
  size: 1,
  digest: `sha256:${'b'.repeat(64)}`,
  ...more,
});
const releaseOf = (waves: Wave[], more: Partial<FirmwareReleaseSpec> = {}): { uid: string; spec: FirmwareReleaseSpec } => ({
  uid: 'release-1',
  spec: {
    version: '2.4.0',
    component: 'app',
    securityCounter: 7,
    artifacts: [artifact('full')],
    selector: {},
    rollout: { waves: waves.map((wave) => ({ soak: '0s', approval: 'None', ...wave })) },
    ...more,
  } as FirmwareReleaseSpec,
});
const device = (at: number, more: Partial<Candidate> = {}): Candidate => ({
  uid: `uid-${at}`,
  namespace: at % 2 === 0 ? 'berlin' : 'paris',
  name: `cam-${at}`,
  labels: {},
  hold: false,
  pin: '',
  running: {},
  ...more,
});
const fleetOf = (count: number, more: (at: number) => Partial<Candidate> = () => ({})): Candidate[] =>
  Array.from({ length: count }, (_, at) => device(at, more(at)));
const sizes = (release: ReturnType<typeof releaseOf>, devices: Candidate[]): number[] =>
  planWaves(release, devices).steps.map((step) => step.devices.length);

describe('waves', () => {
  it.each<[says: string, waves: Wave[], sizes: number[]]>([
    ['a number is that many devices', [{ name: 'a', size: '5' }, { name: 'b' }], [5, 95]],
    [
      'a share is of all that the wave selects, rounded up',
      [{ name: 'a', size: '1.5%' }, { name: 'b', size: '50%' }, { name: 'c' }],
      [2, 50, 48],
    ],
    ['min lifts a share', [{ name: 'a', size: '1%', min: 20 }, { name: 'b' }], [20, 80]],
    ['more than there are is all', [{ name: 'a', size: '500' }, { name: 'b' }], [100, 0]],
    [
      'growth doubles up to its largest step',
      [
        { name: 'a', size: '10' },
        { name: 'b', growth: { start: '5%', factor: 2, max: '20%' } },
      ],
      [10, 5, 10, 20, 20, 20, 15],
    ],
  ])('%s', (_, waves, expected) => expect(sizes(releaseOf(waves), fleetOf(100))).toEqual(expected));

  it('a wave with a selector takes only its own, and devices in no wave are named as left', () => {
    const fleet = fleetOf(10, (at) => ({ labels: { stage: at < 4 ? 'lab' : 'field' } }));
    const plan = planWaves(releaseOf([{ name: 'lab', selector: { matchLabels: { stage: 'lab' } }, size: '3' }]), fleet);
    expect(plan.steps[0]?.devices.map(({ labels }) => labels.stage)).toEqual(['lab', 'lab', 'lab']);
    expect(plan.left).toHaveLength(7);
  });

  it('who is held or has no artifact for its hardware is in none', () => {
    const fleet = fleetOf(10, (at) => ({ hold: at === 0, model: at < 5 ? 'cam-1' : 'cam-2' }));
    const plan = planWaves(releaseOf([{ name: 'a' }], { artifacts: [artifact('full', { hardware: { models: ['cam-2'] } })] }), fleet);
    expect([
      plan.steps[0]?.devices.length,
      ...['Incompatible', 'Held'].map((why) => plan.out.filter((one) => one.why === why).length),
    ]).toEqual([5, 4, 1]);
  });

  it('spread has every site and revision in the wave, even where its size alone would not', () => {
    const fleet = fleetOf(200, (at) => ({ namespace: `site-${at % 20}`, revision: at === 77 ? '9' : '1' }));
    const [first] = planWaves(releaseOf([{ name: 'a', size: '2%', spread: ['site', 'hwRevision'] }, { name: 'b' }]), fleet).steps;
    expect(new Set(first?.devices.map(({ namespace }) => namespace)).size).toBe(20);
    expect(first?.devices.some(({ revision }) => revision === '9')).toBe(true);
    expect(first?.devices.length).toBeLessThanOrEqual(21);
  });

  const wave = fc.record({
    selector: fc.option(fc.constantFrom({ matchLabels: { stage: 'lab' } }, { matchLabels: { stage: 'field' } }, {}), { nil: undefined }),
    size: fc.option(fc.oneof(fc.integer({ min: 1, max: 40 }).map(String), fc.constantFrom('0.01%', '1%', '7%', '33.33%', '100%')), {
      nil: undefined,
    }),
    growth: fc.option(fc.constantFrom({ start: '1%', factor: 2, max: '20%' }, { start: '40%', factor: 10, max: '10%' }), {
      nil: undefined,
    }),
    spread: fc.constantFrom<string[]>([], ['site'], ['stage', 'site']),
  });
  const waves = fc
    .array(wave, { minLength: 1, maxLength: 5 })
    .map((list) =>
      list.map((one, at): Wave => ({ ...one, name: `w${at}`, ...(one.growth === undefined ? {} : { size: undefined }) }) as Wave),
    );
  const fleet = fc
    .integer({ min: 0, max: 120 })
    .map((count) => fleetOf(count, (at) => ({ labels: { stage: at % 3 === 0 ? 'lab' : 'field' }, hold: at % 11 === 5 })));

  it('have each device once, in a wave or among those that are named as being in none, in whatever order the devices are read', () => {
    fc.assert(
      fc.property(waves, fleet, fc.infiniteStream(fc.nat()), (list, devices, numbers) => {
        const { steps, left, out } = planWaves(releaseOf(list), devices);
        const all = [...steps.flatMap((step) => step.devices), ...left, ...out.map((one) => one.device)];
        expect(all.map(({ uid }) => uid).sort()).toEqual(devices.map(({ uid }) => uid).sort());
        const shuffled = devices.map((one) => ({ one, at: numbers.next().value ?? 0 })).sort((a, b) => a.at - b.at);
        expect(
          planWaves(
            releaseOf(list),
            shuffled.map(({ one }) => one),
          ).steps,
        ).toEqual(steps);
      }),
    );
  });

  it('a device that joins moves nobody to an earlier wave of fixed size, and at most one device out of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 60 }), (size, count) => {
        const release = releaseOf([{ name: 'a', size: String(size) }, { name: 'b' }]);
        const first = (devices: Candidate[]): string[] => planWaves(release, devices).steps[0]?.devices.map(({ uid }) => uid) ?? [];
        const [before, after] = [first(fleetOf(count)), first(fleetOf(count + 1))];
        expect(before.filter((uid) => !after.includes(uid)).length).toBeLessThanOrEqual(1);
        expect(after.filter((uid) => !before.includes(uid)).every((uid) => uid === `uid-${count}`)).toBe(true);
      }),
    );
  });

  it('of another release begin with other devices', () => {
    const canary = (uid: string): string[] =>
      planWaves({ ...releaseOf([{ name: 'a', size: '10' }]), uid }, fleetOf(1000)).steps[0]?.devices.map((one) => one.uid) ?? [];
    expect(canary('release-1')).not.toEqual(canary('release-2'));
  });
});

describe('sizes', () => {
  it.each([
    ['7%', 100, 7],
    ['0.07%', 10_000, 7],
    ['0.01%', 5, 1],
    ['0%', 5, 1],
    ['100%', 5, 5],
    ['1%', 0, 0],
    ['33.33%', 3, 1],
  ])('%s of %d is %d', (size, all, expected) => expect(sizeOf(size, all)).toBe(expected));

  it.each([
    [0, '0%'],
    [0.0029, '0.29%'],
    [0.029, '2.9%'],
    [0.6316, '63.2%'],
    [0.9999, '>99.9%'],
    [1, '100%'],
  ])('%d is written %s', (value, written) => expect(percentText(value)).toBe(written));
});
