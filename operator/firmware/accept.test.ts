import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { preAuthentication } from '../api/dsse.ts';
import { type Heard, hasEnded, hearHello, hearState, type OpenDirective, openOf, type Standing, standingOf } from './accept.ts';
import { bootReportProblem } from './boot-report.ts';
import type { BootReport, Hello, StateReport } from './messages.ts';
import { DIRECTIVE_TYPE } from './protocol.ts';
import { booted, signedBoot } from './testing/boot.ts';
import { DEVICE, hello, install, NEW, NONCE, OLD, state } from './testing/messages.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ed25519');
const OPEN = openOf(install(), 3);

/** Everything up to Testing, then `last`. */
const REBOOTED = [state({ n: 2 }), state({ n: 3, state: 'Staged', staged: NEW }), state({ n: 4, state: 'Rebooting' })];
const TESTING = [...REBOOTED, state({ boot: 4, n: 2, state: 'Testing', digest: NEW })];
const success = (fields: Partial<StateReport> = {}): StateReport =>
  state({ boot: 4, n: 3, state: 'Confirmed', digest: NEW, securityCounter: 5, ...fields });
const proven = (fields: Partial<BootReport> = {}, key = privateKey): StateReport =>
  success({ bootReport: signedBoot(booted(fields), key) });

type Message = StateReport | Hello;

function heard(messages: readonly Message[], key = false, open = OPEN): Heard {
  let last: Heard = { standing: standingOf(open), verdict: { result: 'Known' } };
  for (const one of messages) last = hear(open, last.standing, one, key);
  return last;
}

const hear = (open: OpenDirective, standing: Standing, one: Message, key: boolean): Heard =>
  'components' in one ? hearHello(open, standing, one) : hearState(open, standing, one, key ? publicKey : undefined);

const wordOf = ({ standing, verdict }: Heard): string =>
  `${standing.state} ${verdict.result === 'Refused' ? verdict.problem.code : verdict.result}`;

describe('Confirmed counts', () => {
  it.each<[string, readonly Message[], string]>([
    ['when the image runs that was ordered, after a reboot', [...TESTING, success()], 'Confirmed Taken'],
    ['when the states before were not heard', [success()], 'Confirmed Taken'],
    ['not while another image runs', [...TESTING, success({ digest: OLD })], 'Testing HR-FW-107'],
    ['not without a reboot', [...REBOOTED, success({ boot: 3, n: 9 })], 'Rebooting HR-FW-108'],
    ['not in the boot of the hello before the directive', [success({ boot: 3, n: 9 })], 'Offered HR-FW-108'],
    ['not in a boot in which another image ran', [...REBOOTED, hello({ boot: 4, n: 1 }), success()], 'RolledBack HR-FW-106'],
    [
      'not after "Confirmed" of another image in the same boot',
      [...REBOOTED, success({ digest: OLD }), success({ n: 4 })],
      'Rebooting HR-FW-108',
    ],
    [
      'not in the boot that was about to restart, whatever image it named',
      [...REBOOTED.slice(0, 2), state({ boot: 4, state: 'Rebooting', digest: NEW }), success()],
      'Rebooting HR-FW-108',
    ],
    ['not with a lower security counter', [...TESTING, success({ securityCounter: 4 })], 'Testing HR-FW-109'],
    ['not of another directive', [...TESTING, success({ seq: 6 })], 'Testing HR-FW-104'],
    ['not with another nonce', [...TESTING, success({ nonce: 'b'.repeat(32) })], 'Testing HR-FW-104'],
    ['not of another component', [...TESTING, success({ component: 'modem' })], 'Testing HR-FW-104'],
    ['not of another device', [...TESTING, success({ device: 'thermo-18.berlin' })], 'Testing HR-FW-103'],
    ['not of a device that has reset its counters', [...TESTING, success({ boot: 0, n: 99 })], 'Testing HR-FW-105'],
    ['not after a failure', [...REBOOTED, state({ boot: 4, n: 2, state: 'Failed', code: 10 }), success()], 'Failed HR-FW-106'],
    [
      'not after a rollback',
      [...TESTING, state({ boot: 5, n: 1, state: 'RolledBack', code: 11 }), success({ boot: 6 })],
      'RolledBack HR-FW-106',
    ],
    ['once, though it is said twice', [...TESTING, success(), success()], 'Confirmed Known'],
    ['still, when it is said again after a restart', [...TESTING, success(), success({ boot: 5, n: 2 })], 'Confirmed Taken'],
  ])('%s', (_, messages, word) => expect(wordOf(heard(messages))).toBe(word));

  it('where a boot key is registered, only with a boot report that it signed', () => {
    expect(wordOf(heard([...TESTING, success()], true))).toBe('Testing HR-FW-110');
    expect(wordOf(heard([...TESTING, proven({}, other.privateKey)], true))).toBe('Testing HR-FW-111');
    expect(wordOf(heard([...TESTING, proven()], true))).toBe('Confirmed Taken');
  });

  it('not by something else that the boot key has signed', () => {
    const payload = Buffer.from(JSON.stringify(booted()));
    const sig = sign('sha256', preAuthentication(DIRECTIVE_TYPE, payload), privateKey).toString('base64');
    const envelope = { payload: payload.toString('base64'), payloadType: DIRECTIVE_TYPE, signatures: [{ keyid: '', sig }] };
    const expected = { device: DEVICE, component: 'app', boot: 4, digest: NEW, securityCounter: 5, nonce: NONCE };
    expect(bootReportProblem(signedBoot(booted(), privateKey), publicKey, expected)).toBeUndefined();
    expect(bootReportProblem(envelope as never, publicKey, expected)).toEqual({ code: 'HR-FW-111' });
  });

  it.each<[string, Partial<BootReport>]>([
    ['device', { device: 'thermo-18.berlin' }],
    ['component', { component: 'modem' }],
    ['boot counter', { boot: 3 }],
    ['digest', { digest: OLD }],
    ['nonce', { nonce: 'b'.repeat(32) }],
    ['security counter, below that of the release', { securityCounter: 4 }],
    ['mode: the bootloader went back', { mode: 'Reverted' }],
  ])('not with a genuine boot report that has another %s', (what, fields) =>
    expect(heard([...TESTING, proven(fields)], true).verdict).toEqual({
      result: 'Refused',
      problem: { code: 'HR-FW-112', found: `the signed boot report has another ${what}` },
    }),
  );

  it('unproven of a forger who lies consistently, where no boot key is registered; with one it gets nowhere', () => {
    // The old image runs, and says of itself whatever is expected.
    const forged = [...REBOOTED, success({ bootReport: signedBoot(booted(), other.privateKey) })];
    expect(heard(forged).standing).toMatchObject({ state: 'Confirmed', proof: 'Unproven' });
    expect(heard(forged, true).standing).toMatchObject({ state: 'Rebooting' });
    expect(heard([...TESTING, proven()], true).standing).toMatchObject({ state: 'Confirmed', proof: 'Proven' });
  });
});

describe('a rollback', () => {
  it('that a hello seems to show is none where the state after it says Rebooting again: the power went before the bootloader was told', () => {
    const back = [...REBOOTED, hello({ boot: 4, n: 1 })];
    const still = [...back, state({ boot: 4, n: 2, state: 'Rebooting' })];
    expect(wordOf(heard(back))).toBe('RolledBack Taken');
    expect(wordOf(heard(still))).toBe('Rebooting Taken');
    expect(wordOf(heard([...still, success({ n: 9 })]))).toBe('Rebooting HR-FW-108');
    expect(wordOf(heard([...still, success({ boot: 5 })]))).toBe('Confirmed Taken');
    // In another boot, or after its reason: an end stays.
    expect(wordOf(heard([...back, state({ boot: 5, n: 2, state: 'Rebooting' })]))).toBe('RolledBack HR-FW-106');
    const told = state({ boot: 4, n: 2, state: 'RolledBack', code: 11 });
    expect(wordOf(heard([...back, told, state({ boot: 4, n: 3, state: 'Rebooting' })]))).toBe('RolledBack HR-FW-106');
  });

  it.each<[string, readonly Message[], string]>([
    ['is seen by the next hello', [...TESTING, hello({ boot: 5 })], 'RolledBack Taken'],
    ['is seen by a hello also after the success', [...TESTING, success(), hello({ boot: 5 })], 'RolledBack Taken'],
    ['is seen by a state also after the success', [...TESTING, success(), success({ boot: 5, digest: OLD })], 'RolledBack Taken'],
    ['is told after the success', [...TESTING, success(), state({ boot: 5, state: 'RolledBack', code: 11 })], 'RolledBack Taken'],
    ['is none, when the image of the directive runs', [...TESTING, success(), hello({ boot: 5 }, NEW)], 'Confirmed Taken'],
    ['is none by a hello from before', [...TESTING, success(), hello({ boot: 3, n: 1 })], 'Confirmed HR-FW-105'],
    ['is none before the reboot', [...REBOOTED, hello({ boot: 3, n: 9 })], 'Rebooting Taken'],
    ['is none of another device', [...TESTING, success(), hello({ boot: 5, device: 'thermo-18.berlin' })], 'Confirmed HR-FW-103'],
    ['is not taken back', [...TESTING, success(), hello({ boot: 5 }), success({ boot: 6 })], 'RolledBack HR-FW-106'],
  ])('%s', (_, messages, word) => expect(wordOf(heard(messages))).toBe(word));
});

describe('a directive', () => {
  const of = (action: OpenDirective['action']): OpenDirective => ({ ...OPEN, action, image: action === 'Cancel' ? undefined : OPEN.image });
  it.each<[string, OpenDirective['action'], readonly Message[], string, boolean]>([
    ['Stage ends when it is staged', 'Stage', REBOOTED.slice(0, 2), 'Staged Taken', true],
    ['Stage reboots nothing', 'Stage', REBOOTED, 'Staged HR-FW-106', true],
    ['Install goes on from there', 'Install', REBOOTED.slice(0, 2), 'Staged Taken', false],
    ['Activate downloads nothing', 'Activate', [state({ n: 2, state: 'Downloading', offset: 0, total: 1 })], 'Offered HR-FW-113', false],
    ['Cancel ends idle', 'Cancel', [state({ n: 2, state: 'Idle' })], 'Idle Taken', true],
    ['Cancel confirms nothing', 'Cancel', [success()], 'Offered HR-FW-113', false],
    ['Revert is confirmed as well', 'Revert', [...TESTING.slice(2), success()], 'Confirmed Taken', true],
    ['what tests the image does not download it again', 'Install', [...TESTING, state({ boot: 5 })], 'Testing HR-FW-113', false],
    ['a rejection ends it', 'Install', [state({ n: 2, state: 'Rejected', code: 4 }), state({ n: 3 })], 'Rejected HR-FW-106', true],
  ])('%s', (_, action, messages, word, ended) => {
    const last = heard(messages, false, of(action));
    expect(wordOf(last)).toBe(word);
    expect(hasEnded(of(action), last.standing)).toBe(ended);
  });

  it('of which nothing was heard has not ended', () => expect(hasEnded(OPEN, standingOf(OPEN))).toBe(false));
  it('keeps the code of its end', () =>
    expect(heard([state({ n: 2, state: 'Failed', code: 8 })]).standing).toMatchObject({ state: 'Failed', code: 8 }));
  it('that a hello has shown to be rolled back gets its reason from the state after it, once', () => {
    const back = [...TESTING, hello({ boot: 5 }), state({ boot: 5, n: 2, state: 'RolledBack', code: 10 })];
    expect(heard(back).standing).toMatchObject({ state: 'RolledBack', code: 10 });
    expect(heard([...back, state({ boot: 5, n: 3, state: 'RolledBack', code: 9 })]).standing).toMatchObject({ code: 10 });
  });
  it('is for one device', () => expect(OPEN.device).toBe(DEVICE));
});
