import { describe, expect, it } from 'vitest';
import type { InterventionStatus } from '../api/intervention.ts';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from '../runtime/clock.ts';
import { expiry, quarantine, revoke, rotate, waitMs } from './acts.ts';
import { type Act, intervene } from './intervene.ts';
import { release, releaseDevice, stillHeld } from './release.ts';
import { ALICE, condition, FakeApi } from './testing/fake-api.ts';
import { listen, typed } from './testing/heard.ts';

const THERMO = { name: 'thermo', namespace: 'berlin' };
const REVOKE: Act = { action: 'Revoke', device: THERMO, reason: 'stolen', expires: undefined, waitMs: 60_000, json: false };

/** Runs to its end while the clock goes on. */
async function ended(clock: FakeClock, work: Promise<number>): Promise<number> {
  let code: number | undefined;
  void work.then(
    (value) => {
      code = value;
    },
    () => {
      code = -1;
    },
  );
  for (let turn = 0; code === undefined && turn < 1000; turn++) await clock.advance(100);
  return work;
}

async function acted(api: FakeApi, act: Partial<Act> = {}) {
  const clock = new FakeClock();
  const { heard, output } = listen();
  const code = await ended(clock, intervene({ client: api.client, clock, output }, { ...REVOKE, ...act }));
  return { code, ...heard };
}

/** The operator says this of every intervention at its n-th look. */
function operatorSays(api: FakeApi, ...statuses: (InterventionStatus | undefined)[]): void {
  let look = 0;
  api.turn = () => {
    const status = statuses[Math.min(look++, statuses.length - 1)];
    for (const one of api.interventions.values()) if (status !== undefined) one.status = status;
  };
}

function world(): FakeApi {
  const api = new FakeApi();
  api.device('thermo');
  return api;
}

const LEDGER = { step: 'Ledger', at: '2026-11-25T10:00:00.120Z' };
const BROKER = { step: 'Broker', at: '2026-11-25T10:00:00.480Z' };
const inProgress = {
  conditions: [condition('Applied', 'False', 'InProgress', 'the broker has not confirmed the ban yet')],
  steps: [LEDGER],
};
const applied = { conditions: [condition('Applied', 'True', 'Revoked')], steps: [LEDGER, BROKER] };

describe('revoke and quarantine', () => {
  it('make an Intervention in the name of who asks, print each step once, and are done when the world shows it', async () => {
    const api = world();
    operatorSays(api, undefined, undefined, inProgress, inProgress, applied);
    const { code, out, err } = await acted(api);
    expect([code, err]).toEqual([0, '']);
    expect([...api.interventions.values()].map(({ metadata, spec }) => [metadata.namespace, metadata.generateName, spec])).toEqual([
      ['berlin', 'thermo-revoke-', { target: { kind: 'Device', name: 'thermo' }, action: 'Revoke', requestedBy: ALICE, reason: 'stolen' }],
    ]);
    expect(out).toMatch(
      /^Revoke of berlin\/thermo asked for by alice@example\.org: intervention thermo-revoke-1\n {2}Ledger +2026-11-25T10:00:00Z\n {2}Broker +2026-11-25T10:00:00Z\ndone: ledger and broker show it \d+\.\d s after it was asked for\n$/,
    );
  });

  it('a quarantine carries its end', async () => {
    const api = world();
    operatorSays(api, applied);
    await acted(api, { action: 'Quarantine', expires: '2026-12-01T00:00:00Z' });
    expect([...api.interventions.values()][0]?.spec).toMatchObject({ action: 'Quarantine', expires: '2026-12-01T00:00:00Z' });
  });

  it.each([
    [false, undefined],
    [true, true],
  ])('a rotation says whether the key is in other hands (%s), and is done with the new certificate', async (compromised, expected) => {
    const api = world();
    const steps = [{ step: 'Certificate', at: '2026-11-25T10:00:00.480Z' }];
    operatorSays(api, undefined, { conditions: [condition('Applied', 'True', 'Rotated')], steps });
    const { code, out } = await acted(api, { action: 'Rotate', compromised });
    expect(code).toBe(0);
    expect([...api.interventions.values()][0]).toMatchObject({ metadata: { generateName: 'thermo-rotate-' }, spec: { action: 'Rotate' } });
    expect([...api.interventions.values()][0]?.spec.compromised).toBe(expected);
    expect(out).toMatch(/\n {2}Certificate +2026-11-25T10:00:00Z\ndone: the device has its new certificate \d+\.\d s after/);
  });

  it('a rotation that nobody looks at is no reason to shut the device out by hand, unless its key is in other hands', async () => {
    for (const [compromised, says] of [
      [false, false],
      [true, true],
    ] as const) {
      const { code, err } = await acted(world(), { action: 'Rotate', compromised });
      expect([code, err.includes('revoke-with-the-operator-down')]).toEqual([3, says]);
    }
  });

  it('without waiting are done when it is asked for', async () => {
    const { code, out } = await acted(world(), { waitMs: undefined });
    expect(code).toBe(0);
    expect(out).toContain('not waited for; see kubectl get intervention thermo-revoke-1 -n berlin');
  });

  it('for scripts print the Intervention alone', async () => {
    const api = world();
    operatorSays(api, inProgress, applied);
    const { code, out } = await acted(api, { json: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ metadata: { name: 'thermo-revoke-1' }, status: { steps: [LEDGER, BROKER] } });
  });

  it('of a name that is mistyped make nothing', async () => {
    const api = world();
    await expect(acted(api, { device: { name: 'thremo', namespace: 'berlin' } })).rejects.toThrow('HR-CLI-005: berlin/thremo. Cure: ');
    expect(api.interventions.size).toBe(0);
  });

  it('need one right: who may only create is told that the rest cannot be seen', async () => {
    const api = world();
    for (const right of ['get devices', 'get interventions']) api.forbidden.add(right);
    const { code, err } = await acted(api);
    expect(code).toBe(3);
    expect(err).toContain('may not get interventions in berlin');
    expect(api.interventions.size).toBe(1);
  });

  it('without that right pass on what the API server says', async () => {
    const api = world();
    api.forbidden.add('create interventions');
    await expect(acted(api)).rejects.toMatchObject({ status: 403 });
  });

  it('an API server that is away for a while ends nothing: what was asked for stands', async () => {
    const api = world();
    let looks = 0;
    api.turn = () => {
      looks++;
      if (looks > 1 && looks < 10) throw new KubeError({ status: 0, reason: 'NetworkError', message: 'ECONNREFUSED' });
      if (looks >= 10) for (const one of api.interventions.values()) one.status = applied;
    };
    expect(await acted(api)).toMatchObject({ code: 0, err: '' });
  });

  it.each<[what: string, status: InterventionStatus | undefined, said: string[]]>([
    ['an operator that waits for the broker', inProgress, ['the broker has not confirmed the ban yet. It stands and goes on by itself']],
    ['no operator at all', undefined, ['no operator has looked at it', 'docs/guides/revoke-with-the-operator-down.md']],
    [
      'a Device that is not there',
      { conditions: [condition('Applied', 'False', 'TargetNotFound')] },
      ['There is no Device thermo in berlin', 'kubectl delete intervention thermo-revoke-1 -n berlin'],
    ],
  ])('that are not seen done end with 3 and say why: %s', async (_what, status, said) => {
    const api = world();
    operatorSays(api, status);
    const { code, err } = await acted(api);
    expect(code).toBe(3);
    for (const part of said) expect(err).toContain(part);
  });

  it('that somebody takes back meanwhile say so', async () => {
    const api = world();
    let looks = 0;
    api.turn = () => {
      if (++looks === 4) api.interventions.clear();
    };
    expect(await acted(api)).toMatchObject({ code: 3, err: expect.stringContaining('Somebody deleted intervention thermo-revoke-1') });
  });
});

describe('what is typed', () => {
  it.each<[what: string, flags: string[], complaint: string]>([
    ['nobody named', ['--reason', 'x'], 'which DEVICE?'],
    ['no reason', ['thermo'], '--reason is required'],
    ['half a wait', ['thermo', '--reason', 'x', '--wait', 'maybe'], '--wait=maybe: only true and false'],
    ['a timeout that is none', ['thermo', '--reason', 'x', '--timeout', '5'], '--timeout 5 is no duration'],
    ['an end of a revocation', ['thermo', '--reason', 'x', '--expires', '1h'], "Unknown option '--expires'"],
  ])('is wrong use of revoke: %s', async (_what, flags, complaint) => {
    const { code, err } = await typed(revoke, 'revoke', ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(complaint)]);
  });

  it.each([revoke, quarantine, release, rotate])('every flag of $words is in its help', ({ flags, help }) => {
    for (const flag of Object.keys(flags).filter((name) => name !== 'help')) expect(help).toContain(`--${flag}`);
  });

  const clock = new FakeClock(Date.parse('2026-11-25T10:00:00Z'));
  it.each<[what: string, value: string | undefined, at: string | undefined]>([
    ['never', undefined, undefined],
    ['in 90 minutes', '90m', '2026-11-25T11:30:00Z'],
    ['at a time', '2026-12-01T01:00:00+01:00', '2026-12-01T00:00:00Z'],
  ])('a quarantine ends %s', (_what, value, at) => expect(expiry(value, clock)).toBe(at));

  it.each([
    ['2026-11-25T09:59:59Z', 'is over already'],
    ['0s', 'is over already'],
    ['tomorrow', 'neither a time such as'],
    ['2026-12-01', 'neither a time such as'],
    ['2026-12-01T00:00:00', 'neither a time such as'],
    ['', 'neither a time such as'],
  ])('an end %s is refused: %s', (value, complaint) => expect(() => expiry(value, clock)).toThrow(complaint));

  it.each([
    [{}, 60_000],
    [{ timeout: '5m' }, 300_000],
    [{ wait: 'false', timeout: '5m' }, undefined],
  ])('%j waits %s ms', (values, ms) => expect(waitMs(values)).toBe(ms));
});

describe('release', () => {
  const QUARANTINED = condition('Quarantined', 'True', 'Quarantined');
  const READY = condition('Ready', 'True', 'Ready');

  async function released(api: FakeApi, patienceMs: number | undefined = 60_000) {
    const clock = new FakeClock(Date.parse('2026-11-25T10:00:00Z'));
    const { heard, output } = listen();
    const code = await ended(clock, releaseDevice({ client: api.client, clock, output }, THERMO, patienceMs));
    return { code, ...heard };
  }

  it('deletes the quarantines that hold, no others, and waits until the device has its rights again', async () => {
    const api = new FakeApi();
    api.device('thermo', 'Active', [QUARANTINED]);
    api.intervention('q-1');
    api.intervention('q-2', { expires: '2026-11-26T00:00:00Z', reason: 'twice' });
    api.intervention('over', { expires: '2026-11-25T09:00:00Z' });
    api.intervention('other-device', { target: { kind: 'Device', name: 'air' } });
    api.intervention('other-kind', { target: { kind: 'SegmentPolicy', name: 'thermo' } });
    let looks = 0;
    api.turn = () => {
      if (++looks === 5) api.device('thermo', 'Active', [READY]);
    };
    const { code, out, err } = await released(api);
    expect([code, err]).toEqual([0, '']);
    expect([...api.interventions.keys()]).toEqual(['over', 'other-device', 'other-kind']);
    expect(out).toMatch(
      /^ended: intervention q-1 of alice@example\.org: beaconing\nended: intervention q-2 [^\n]*: twice\nreleased \d\.\d s after; Ready is True\n$/,
    );
  });

  it('of a device that nobody quarantined has nothing to do', async () => {
    const api = new FakeApi();
    api.device('thermo', 'Active', [READY]);
    expect(await released(api)).toMatchObject({ code: 0, out: expect.stringContaining('nothing to end') });
  });

  it('says that Git still quarantines it, after it has ended the others', async () => {
    const api = new FakeApi();
    api.device('thermo', 'Quarantined', [QUARANTINED]);
    api.intervention('q-1');
    expect(await released(api)).toMatchObject({
      code: 3,
      out: expect.stringMatching(/^ended: [^\n]*\nstill quarantined by Git: set spec\.lifecycle/),
    });
    expect(api.interventions.size).toBe(0);
  });

  it('never ends a revocation, and says that it stands', async () => {
    const api = new FakeApi();
    api.device('thermo');
    api.intervention('r-1', { action: 'Revoke', reason: 'stolen' });
    expect(await released(api)).toMatchObject({
      code: 3,
      out: expect.stringContaining('revoked by intervention r-1 of alice@example.org: stolen'),
    });
    expect(api.interventions.size).toBe(1);
  });

  it('with nobody to release it ends with 3', async () => {
    const api = new FakeApi();
    api.device('thermo', 'Active', [QUARANTINED]);
    api.intervention('q-1');
    expect(await released(api)).toMatchObject({ code: 3, err: expect.stringContaining('Not seen released after 60 s') });
  });

  it('says what it cannot see', async () => {
    const api = new FakeApi();
    api.device('thermo');
    api.intervention('q-1');
    api.forbidden.add('get devices');
    expect(await released(api)).toMatchObject({ code: 3, err: expect.stringContaining('may not get devices in berlin') });
    expect(api.interventions.size).toBe(0);
  });

  it('of a name that is mistyped is refused', async () => {
    await expect(released(new FakeApi())).rejects.toThrow('HR-CLI-005: berlin/thermo');
  });

  it('a revocation in Git is named as well', () => {
    const api = new FakeApi();
    api.device('thermo', 'Revoked');
    expect(stillHeld(api.devices.get('thermo'), [])).toEqual([expect.stringMatching(/^revoked by Git: .* new key$/)]);
  });
});
