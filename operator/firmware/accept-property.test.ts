// Whatever is repeated, reordered, lost or altered on the way: no device counts as Confirmed against what it really did.
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hearHello, hearState, type OpenDirective, openOf, type Standing, standingOf } from './accept.ts';
import type { Hello, StateReport } from './messages.ts';
import { readHello, readState } from './report.ts';
import { booted, signedBoot } from './testing/boot.ts';
import { DEVICE, hello, install, NEW, NONCE, OLD, state } from './testing/messages.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const OPEN = openOf(install(), 3);

/** What a device did in one boot: which image the bootloader started, and for which directive. */
type Boot = { digest: string; nonce: string; counter: number };
type Wire = { topic: 'state' | 'hello'; bytes: Buffer };

const boots = fc.array(
  fc.record({ digest: fc.constantFrom(OLD, NEW), nonce: fc.constantFrom(NONCE, 'b'.repeat(32)), counter: fc.constantFrom(4, 5) }),
  { minLength: 1, maxLength: 4 },
);

/** All the messages that an honest device could send in its boots, the first of which is number 3, and boot reports that its bootloader would give it. */
function messagesOf(history: readonly Boot[]): (StateReport | Hello)[] {
  return history.flatMap(({ digest, nonce, counter }, at) => {
    const boot = at + 3;
    const bootReport = signedBoot(booted({ boot, digest, nonce, securityCounter: counter }), privateKey);
    const told = { boot, digest, nonce, securityCounter: counter };
    return [
      hello({ boot, n: 1 }, digest),
      state({ ...told, n: 2, state: 'Rebooting' }),
      state({ ...told, n: 3, state: 'Testing' }),
      state({ ...told, n: 4, state: 'Confirmed', bootReport }),
      state({ ...told, n: 5, state: 'RolledBack', code: 11, bootReport }),
    ];
  });
}

/** An image that lies, or a broker that alters: any field of any message set to what would help, boot reports swapped. */
const lies = fc.record(
  {
    boot: fc.nat(8),
    n: fc.integer({ min: 1, max: 9 }),
    digest: fc.constantFrom(OLD, NEW),
    nonce: fc.constant(NONCE),
    securityCounter: fc.constantFrom(4, 5, 6),
    state: fc.constantFrom<StateReport['state']>('Testing', 'Confirmed'),
    reportOf: fc.nat(3),
    cut: fc.nat(700),
  },
  { requiredKeys: [] },
);

function altered(
  message: StateReport | Hello,
  lie: typeof lies extends fc.Arbitrary<infer L> ? L : never,
  all: readonly (StateReport | Hello)[],
): Wire {
  const topic = 'components' in message ? 'hello' : 'state';
  const { reportOf, cut, ...fields } = lie;
  const { code: _, ...rest } = message as StateReport;
  const reports = all.flatMap((one) => ('bootReport' in one && one.bootReport !== undefined ? [one.bootReport] : []));
  const swapped = reportOf === undefined ? {} : { bootReport: reports[reportOf % reports.length] };
  const given =
    topic === 'hello' || Object.keys(lie).length === 0
      ? message
      : { ...(fields.state === undefined ? message : rest), ...fields, ...swapped };
  const bytes = Buffer.from(JSON.stringify(given));
  return { topic, bytes: cut === undefined || cut % 3 > 0 ? bytes : bytes.subarray(0, cut) };
}

/** Runs that a broker can make of them: any subset, any order, any number of times. */
const runs = boots.chain((history) => {
  const all = messagesOf(history);
  const one = fc.tuple(fc.nat(all.length - 1), fc.option(lies, { nil: undefined, freq: 2 }));
  return fc.array(one, { maxLength: 30 }).map((picks) => ({
    history,
    wires: picks.map(([at, lie]) => altered(all[at] ?? state({}), lie ?? {}, all)),
  }));
});

function follow(open: OpenDirective, wires: readonly Wire[], isRegistered: boolean): Standing[] {
  const standings = [standingOf(open)];
  for (const { topic, bytes } of wires) {
    const before = standings.at(-1) ?? standingOf(open);
    const read = topic === 'hello' ? readHello(DEVICE, bytes) : readState(DEVICE, bytes);
    if (!read.ok) continue;
    const { message } = read;
    const after =
      'components' in message ? hearHello(open, before, message) : hearState(open, before, message, isRegistered ? publicKey : undefined);
    standings.push(after.standing);
  }
  return standings;
}

describe('for every history of a device and everything that can become of its messages', () => {
  it('Confirmed means, where its boot key is registered, that it started the image of this directive after it', () => {
    let confirmed = 0;
    fc.assert(
      fc.property(runs, ({ history, wires }) => {
        const last = follow(OPEN, wires, true).at(-1);
        if (last?.state !== 'Confirmed') return;
        confirmed++;
        const did = history.some(
          ({ digest, nonce, counter }, at) => at + 3 > OPEN.bootAtOpen && digest === NEW && nonce === NONCE && counter >= 5,
        );
        expect(did).toBe(true);
        expect(last.proof).toBe('Proven');
      }),
      { numRuns: 1500 },
    );
    expect(confirmed).toBeGreaterThan(0);
  });

  it('without a key it means that one message said all of it, and it is called unproven', () => {
    fc.assert(
      fc.property(runs, ({ wires }) => {
        const last = follow(OPEN, wires, false).at(-1);
        if (last?.state !== 'Confirmed') return;
        expect(last.proof).toBe('Unproven');
        const said = wires.flatMap(({ bytes }) => {
          const read = readState(DEVICE, bytes);
          return read.ok ? [read.message] : [];
        });
        expect(said.some((one) => one.state === 'Confirmed' && one.digest === NEW && one.boot > 3 && one.securityCounter >= 5)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('an end stays, but for a success that turns out to be a rollback, and a rollback that only a hello showed and the same boot takes back; boot and number only rise', () => {
    fc.assert(
      fc.property(runs, fc.boolean(), ({ wires }, isRegistered) => {
        const standings = follow(OPEN, wires, isRegistered);
        standings.reduce((before, after) => {
          const isTakenBack = before.state === 'RolledBack' && before.code === undefined && after.boot === before.boot;
          if (isTakenBack) expect(['RolledBack', 'Rebooting']).toContain(after.state);
          else if (before.state === 'RolledBack' || before.state === 'Failed' || before.state === 'Rejected')
            expect(after.state).toBe(before.state);
          if (before.state === 'Confirmed') expect(['Confirmed', 'RolledBack']).toContain(after.state);
          expect(after.boot > before.boot || (after.boot === before.boot && after.n >= before.n)).toBe(true);
          return after;
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('the same messages once more change nothing', () => {
    fc.assert(
      fc.property(runs, ({ wires }) => {
        const once = follow(OPEN, wires, true).at(-1);
        const twice = follow(OPEN, [...wires, ...wires], true).at(-1);
        expect(twice?.state === once?.state || (once?.state !== 'Confirmed' && twice?.state !== 'Offered')).toBe(true);
        if (once?.state === 'Confirmed') expect(twice?.state).toBe('Confirmed');
      }),
      { numRuns: 1000 },
    );
  });
});
