import { describe, expect, it } from 'vitest';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from './clock.ts';
import { createElection, type Election } from './election.ts';
import { createMetrics } from './metrics.ts';
import { seededRandom } from './random.ts';
import { LeaseServer } from './testing/lease-server.ts';
import { recordingLog } from './testing/recording-log.ts';

const NEVER = new AbortController().signal;
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2_000;

function candidate(server: LeaseServer, identity: string, clock: FakeClock, seed = 1) {
  const metrics = createMetrics();
  const log = recordingLog();
  const client = server.client();
  const election = createElection({ client, namespace: 'ns', name: 'op', identity, clock, random: seededRandom(seed), log, metrics });
  const leads = async (): Promise<boolean> => (await metrics.registry.metrics()).includes('leader_election_master_status{name="op"} 1');
  return { election, log, leads, link: client };
}

/** What became of a promise so far. */
function watch<T>(promise: Promise<T>): { readonly value: T | undefined } {
  const seen: { value: T | undefined } = { value: undefined };
  void promise.then((value) => {
    seen.value = value;
  });
  return seen;
}

async function leading(server: LeaseServer, clock: FakeClock, identity = 'a'): Promise<ReturnType<typeof candidate>> {
  const one = candidate(server, identity, clock);
  const leads = watch(one.election.lead(NEVER));
  await clock.advance(0);
  expect(leads.value).toBe(true);
  return one;
}

/** Holds the Lease and notes the moment at which the holder said that it was lost. */
function hold(election: Election, clock: FakeClock, signal = NEVER) {
  const seen: { how: 'lost' | 'stopped' | undefined; at: number } = { how: undefined, at: 0 };
  void election.hold(signal).then((how) => {
    seen.how = how;
    seen.at = clock.elapsed();
  });
  return seen;
}

describe('the election', () => {
  it('leads at once where there is no Lease, and writes who and since when', async () => {
    const server = new LeaseServer();
    const one = await leading(server, new FakeClock());
    expect(server.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(server.spec?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    expect(await one.leads()).toBe(true);
  });

  it('waits as long as the leader renews, and takes over 15 s after the last renewal that it saw', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    const stop = new AbortController();
    hold(first.election, clock, stop.signal);
    const second = candidate(server, 'b', clock);
    const leads = watch(second.election.lead(NEVER));
    await clock.advance(120_000);
    expect(leads.value).toBeUndefined();
    expect(await second.leads()).toBe(false);
    first.link.cut = true; // the leader's machine is off: nothing is released
    const offAt = clock.elapsed();
    await clock.advance(LEASE_MS - 3_000);
    expect(leads.value).toBeUndefined();
    await clock.advance(10_000);
    expect(leads.value).toBe(true);
    expect(clock.elapsed() - offAt).toBeLessThanOrEqual(LEASE_MS + 10_000);
    expect(server.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    expect(second.election.transitions).toBe(1);
  });

  it('is not fooled by clocks that differ by hours, in either direction', async () => {
    for (const skewMs of [-7_200_000, 7_200_000]) {
      const server = new LeaseServer();
      const clock = new FakeClock();
      const first = await leading(server, clock);
      const held = hold(first.election, clock);
      // The same seconds pass on the other machine, its wall clock stands elsewhere.
      const other = new FakeClock(clock.now() + skewMs);
      const leads = watch(candidate(server, 'b', other).election.lead(NEVER));
      for (let i = 0; i < 60; i++) {
        await clock.advance(1000);
        await other.advance(1000);
      }
      expect([leads.value, held.how]).toEqual([undefined, undefined]);
    }
  });

  it('survives a jump of its own wall clock', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const held = hold((await leading(server, clock)).election, clock);
    for (const jump of [3_600_000, -86_400_000]) {
      clock.jumpWall(jump);
      await clock.advance(30_000);
    }
    expect(held.how).toBeUndefined();
    expect(server.spec?.holderIdentity).toBe('a');
  });

  it('gives up before a successor can begin: a leader that cannot renew is lost within the lease, whatever the calls do', async () => {
    for (const fault of ['cut', 'hang', 'deaf'] as const) {
      const server = new LeaseServer();
      const clock = new FakeClock();
      const first = await leading(server, clock);
      const held = hold(first.election, clock);
      const leads = watch(candidate(server, 'b', clock, 3).election.lead(NEVER));
      await clock.advance(20_000);
      first.link[fault] = true;
      const lastRenewal = Date.parse(server.spec?.renewTime ?? '') - (clock.now() - clock.elapsed());
      await clock.advance(LEASE_MS);
      expect(held.how, fault).toBe('lost');
      expect(held.at - lastRenewal).toBeGreaterThanOrEqual(RENEW_DEADLINE_MS);
      expect(held.at - lastRenewal).toBeLessThanOrEqual(RENEW_DEADLINE_MS + RETRY_MS);
      expect(leads.value).toBeUndefined();
      expect(await first.leads()).toBe(false);
    }
  });

  it('stays leader through failures shorter than the renew deadline', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    const held = hold(first.election, clock);
    for (let i = 0; i < 5; i++) {
      first.link.cut = true;
      await clock.advance(7_000);
      first.link.cut = false;
      await clock.advance(5_000);
    }
    expect(held.how).toBeUndefined();
    expect(first.log.said.some((s) => s.level === 'warn')).toBe(true);
  });

  it('knows that it is lost as soon as it reads another name in the Lease', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    const held = hold(first.election, clock);
    server.write({ ...server.spec, holderIdentity: 'usurper', leaseTransitions: 7 });
    await clock.advance(4_000);
    expect(held.how).toBe('lost');
    await first.election.release();
    expect(server.spec?.holderIdentity).toBe('usurper');
  });

  it('keeps the Lease after a foreign touch that leaves its name, and after an answer that was lost', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    const held = hold(first.election, clock);
    server.touch();
    await clock.advance(4_000);
    first.link.losesNextAnswer = true;
    await clock.advance(20_000);
    expect(held.how).toBeUndefined();
    expect(server.spec).toMatchObject({ holderIdentity: 'a', leaseTransitions: 0 });
  });

  it('makes the Lease again when somebody deletes it', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const held = hold((await leading(server, clock)).election, clock);
    server.remove();
    await clock.advance(4_000);
    expect(held.how).toBeUndefined();
    expect(server.spec?.holderIdentity).toBe('a');
  });

  it('of many that see it expired exactly one wins', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    server.write({ holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 3 });
    const leads = Array.from({ length: 5 }, (_, i) => watch(candidate(server, `c${i}`, clock, 1).election.lead(NEVER)));
    await clock.advance(25_000);
    expect(leads.filter((one) => one.value === true)).toHaveLength(1);
    expect(server.spec?.leaseTransitions).toBe(4);
  });

  it('gives the Lease back when it stops, so that the next leads within one retry', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    const stop = new AbortController();
    const held = hold(first.election, clock, stop.signal);
    const leads = watch(candidate(server, 'b', clock).election.lead(NEVER));
    await clock.advance(10_000);
    stop.abort(new Error('the process stops'));
    await clock.advance(0);
    expect(held.how).toBe('stopped');
    expect(leads.value).toBeUndefined();
    await first.election.release();
    await clock.advance(4_500);
    expect(leads.value).toBe(true);
    expect(server.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  });

  it('does not give back what another holds, and does not throw when it cannot give back', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const first = await leading(server, clock);
    server.write({ ...server.spec, holderIdentity: 'b' });
    await first.election.release();
    expect(server.spec?.holderIdentity).toBe('b');
    first.link.cut = true;
    await expect(first.election.release()).resolves.toBeUndefined();
  });

  it('ends the wait for leadership when it is told to stop', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    hold((await leading(server, clock)).election, clock);
    const stop = new AbortController();
    const leads = watch(candidate(server, 'b', clock).election.lead(stop.signal));
    await clock.advance(5_000);
    stop.abort(new Error('the process stops'));
    await clock.advance(0);
    expect(leads.value).toBe(false);
  });

  it('waits for its turn when it may not read the Lease, and says so', async () => {
    const server = new LeaseServer();
    const clock = new FakeClock();
    const one = candidate(server, 'a', clock);
    one.link.error = new KubeError({ status: 403, reason: 'Forbidden', message: 'leases is forbidden' });
    const leads = watch(one.election.lead(NEVER));
    await clock.advance(10_000);
    expect(leads.value).toBeUndefined();
    expect(one.log.said.find((s) => s.level === 'warn')?.fields.err).toBe(one.link.error);
    one.link.error = undefined;
    await clock.advance(5_000);
    expect(leads.value).toBe(true);
  });
});
