// What a message of a device, or a directive that the broker keeps, changes in its row. Nothing is believed that the evidence does not bear (operator/firmware/accept.ts).
import {
  type Directive,
  type Hello,
  hearHello,
  hearState,
  provesRunning,
  readHello,
  readState,
  type StateReport,
  standingOf,
} from '../firmware/firmware.ts';
import { renewed, takenUp } from './directives.ts';
import { RUNS_ALREADY, settle } from './endings.ts';
import { type Heard, type Image, type Row, UNKNOWN_VERSION } from './row.ts';
import type { State } from './state.ts';

/** The code of why it did not count; undefined where it did, or is nothing new. */
export type Refusal = string | undefined;

/** A device that starts anew for ever is not answered each time. */
const AGAIN_MS = 30_000;

export function stateHeard(state: State, row: Row, bytes: Uint8Array, now: number): Refusal {
  const read = readState(row.name, bytes);
  if (!read.ok) return read.problem.code;
  const report = read.message;
  if (report.component !== state.plan.wave.component) return undefined;
  note(row, { ...report, version: undefined, nonce: undefined, isProven: provesRefusal(state, row, report) }, now);
  if (row.open === undefined && state.isGathering) row.held = report;
  return judged(state, row, report, now);
}

export function helloHeard(state: State, row: Row, bytes: Uint8Array, now: number): Refusal {
  const read = readHello(row.name, bytes);
  if (!read.ok) return read.problem.code;
  const hello = read.message;
  const own = hello.components.find(({ component }) => component === state.plan.wave.component);
  if (own === undefined) return undefined;
  const { digest, version, securityCounter } = own;
  note(
    row,
    { boot: hello.boot, n: hello.n, digest, version, securityCounter, nonce: hello.nonce, isProven: isProven(state, row, hello, own) },
    now,
  );
  const refusal = hearsHello(state, row, hello, now);
  if (row.open !== undefined && isOpen(row) && own.seq < row.open.of.seq && row.open.echo !== hello.nonce) quote(state, row, now);
  return refusal;
}

/** It has not taken the directive: without a clock it cannot know how old it is, unless it quotes the hello of this boot. It says so once, so it is answered, if later. */
function quote(state: State, row: Row, now: number): void {
  if (row.open === undefined) return;
  const at = row.open.echo === undefined ? now : row.sentAt + AGAIN_MS;
  if (at > now) {
    row.owesEcho = true;
    state.alarms.set(row, Math.min(at, row.dueAt ?? at));
    return;
  }
  row.open = renewed(state.plan, row.open, row.heard?.nonce, now);
  state.toSend.add(row);
}

/** A directive on the topic of a device, verified. `properties`: of the message, by nobody signed. */
export function directiveHeard(state: State, row: Row, directive: Directive, properties: Record<string, unknown>, now: number): void {
  if (directive.component !== state.plan.wave.component) return;
  row.lastSeq = Math.max(row.lastSeq, directive.seq);
  if (row.open?.of.nonce === directive.nonce) {
    row.isKept = true;
    return;
  }
  if (row.open !== undefined) {
    // Another driver's last word, or one of a stolen key: ours goes back to its place.
    if (!state.isGathering && isOpen(row) && now - row.sentAt >= AGAIN_MS) state.toSend.add(row);
    return;
  }
  if (!state.isGathering) return;
  const image = imageOf(state, row, directive, properties);
  if (image === 'Foreign') return;
  // Its sequence is the time at which it was made.
  if (state.isFirstTime && image !== undefined) state.pace.add(Math.min(now, directive.seq), 1);
  // Who has ended waits at most to be taken back.
  const hasEnded = row.facts.record?.releaseUid === state.plan.release.uid && row.facts.record.result !== undefined;
  if (row.place === 'Ended' || (row.place === 'Waiting' && row.attempt > 0) || (hasEnded && directive.action !== 'Revert')) return;
  takeUp(state, row, directive, image, properties, now);
}

/** Whether an answer is waited for. */
export const isOpen = (row: Row): boolean => row.place === 'Busy' || row.place === 'Straggler';

function judged(state: State, row: Row, report: StateReport, now: number): Refusal {
  const { open, standing, under } = row;
  if (open === undefined || standing === undefined || !mayChange(row)) return undefined;
  const heard = hearState(open.of, standing, report, row.facts.bootKey);
  // Below a Cancel that was not answered, the directive that it cancels may still go on.
  if (heard.verdict.result === 'Refused' && under !== undefined && report.nonce === under.open.of.nonce) {
    under.standing = hearState(under.open.of, under.standing, report, row.facts.bootKey).standing;
    return undefined;
  }
  row.standing = heard.standing;
  rebase(state, row, now);
  if (heard.verdict.result === 'Refused') {
    if (heard.verdict.problem.code === 'HR-FW-104') row.otherAt = now;
    return heard.verdict.problem.code;
  }
  if (heard.verdict.result === 'Taken' && isNews(row, standing.state)) settle(state, row, now);
  return undefined;
}

/** Who has ended and says so again has nothing new to tell, unless it is the reason of a rollback. */
const isNews = ({ place, standing, end }: Row, before: string): boolean =>
  place !== 'Ended' || standing?.state !== before || standing?.code !== end?.code;

function hearsHello(state: State, row: Row, hello: Hello, now: number): Refusal {
  const { open, standing } = row;
  if (open === undefined || standing === undefined || !mayChange(row)) return undefined;
  const heard = hearHello(open.of, standing, hello);
  row.standing = heard.standing;
  rebase(state, row, now);
  if (heard.verdict.result === 'Refused') return heard.verdict.problem.code;
  // It is heard of, which is no answer; but it may have gone back, or have brought what was missing.
  const mayBring = row.place !== 'Ended' && standing.state === 'Rejected';
  if (heard.standing.state !== standing.state || mayBring) settle(state, row, now);
  return undefined;
}

/**
 * Another image was seen in a later boot than the one that stands beside the directive at the broker. The next driver has to know it as well, or it would believe a device
 * that says in that boot that it runs the image. A device that counts boots without end is told so often and no more.
 */
function rebase(state: State, row: Row, now: number): void {
  const { open, standing } = row;
  if (open === undefined || standing === undefined || !isOpen(row)) return;
  if (standing.baseBoot <= open.of.bootAtOpen || row.rebased >= MOST_REBASED) return;
  row.rebased += 1;
  row.open = renewed(state.plan, { ...open, of: { ...open.of, bootAtOpen: standing.baseBoot } }, row.heard?.nonce, now);
  state.toSend.add(row);
}
const MOST_REBASED = 8;

/** An end stays, but for a success that is taken back before it was written, and a rollback of which the reason comes. */
const mayChange = ({ place, end, isRecorded }: Row): boolean =>
  place !== 'Ended' || (!isRecorded && (end?.result === 'Confirmed' || end?.result === 'RolledBack'));

function note(row: Row, said: Omit<Heard, 'at'>, now: number): void {
  const { heard, image } = row;
  const isNewer = heard === undefined || said.boot > heard.boot || (said.boot === heard.boot && said.n > heard.n);
  if (!isNewer) return;
  const isSameBoot = heard?.boot === said.boot;
  row.heard = {
    boot: said.boot,
    n: said.n,
    at: now,
    digest: said.digest,
    version: said.version ?? (heard?.digest === said.digest ? heard.version : undefined),
    securityCounter: said.securityCounter,
    nonce: said.nonce ?? (isSameBoot ? heard?.nonce : undefined),
    isProven: said.isProven || (isSameBoot && heard?.isProven === true && heard.digest === said.digest),
  };
  if (said.digest === image?.digest) return;
  row.otherBoot = Math.max(row.otherBoot, said.boot);
  const version = said.version ?? (row.before?.digest === said.digest ? row.before.version : UNKNOWN_VERSION);
  row.before = { version, digest: said.digest, securityCounter: said.securityCounter };
}

function isProven({ plan }: State, row: Row, { device, boot, bootReport }: Hello, own: Hello['components'][number]): boolean {
  const { image, facts } = row;
  if (bootReport === undefined || facts.bootKey === undefined || own.digest !== image?.digest) return false;
  const { digest, securityCounter } = image;
  // Whether an image on trial was confirmed, a hello does not say.
  return provesRunning(bootReport, facts.bootKey, { device, component: plan.wave.component, boot, digest, securityCounter }, ['Normal']);
}

/** `Rejected` 5 with the bootloader's word. On trial, the genuine image says it only after it was confirmed: before, it is busy. */
function provesRefusal({ plan }: State, { image, facts }: Row, { device, boot, state, code, digest, bootReport }: StateReport): boolean {
  if (state !== 'Rejected' || code !== RUNS_ALREADY || image === undefined || digest !== image.digest) return false;
  if (bootReport === undefined || facts.bootKey === undefined) return false;
  const expected = { device, component: plan.wave.component, boot, digest, securityCounter: image.securityCounter };
  return provesRunning(bootReport, facts.bootKey, expected, ['Normal', 'Test']);
}

/** The image of a directive that this release has sent; Foreign: another release's, or one that says something else today. */
function imageOf({ plan }: State, row: Row, directive: Directive, properties: Record<string, unknown>): Image | undefined | 'Foreign' {
  const { action, artifact, release } = directive;
  if (action === 'Cancel') return plan.wave.action !== 'Install' && properties.release === plan.release.uid ? undefined : 'Foreign';
  if (action === 'Revert') {
    const back = plan.wave.action === 'Revert' ? imageBack(row) : undefined;
    return back !== undefined && back.digest === artifact?.digest ? back : 'Foreign';
  }
  const isSame = artifact?.digest === row.image?.digest && (action === 'Activate' || release?.digest === plan.wave.manifestDigest);
  return isSame ? row.image : 'Foreign';
}

/** What a Revert starts: the image is known by its digest, its size is not. */
export function imageBack({ facts }: Row): Image | undefined {
  const previous = facts.record?.previous;
  return previous === undefined ? undefined : { ...previous, size: 1 };
}

function takeUp(
  state: State,
  row: Row,
  directive: Directive,
  image: Image | undefined,
  properties: Record<string, unknown>,
  now: number,
): void {
  const [boot, attempt, since] = [number(properties.boot, 0), number(properties.attempt, 1), number(properties.since, now)];
  row.open = takenUp(directive, image, boot);
  row.standing = standingOf(row.open.of);
  row.under = underOf(row, properties.under);
  const openedAt = Math.min(now, directive.seq);
  const place = {
    place: 'Busy',
    attempt: Math.max(1, attempt),
    since: Math.min(now, since),
    openedAt,
    phase: 'Offered',
    phaseAt: openedAt,
  };
  Object.assign(row, { ...place, isKept: true, isStaged: directive.action === 'Activate', hasAnswered: false });
  state.sets.place(row);
  const { held } = row;
  row.held = undefined;
  if (held !== undefined) judged(state, row, held, now);
}

function underOf(row: Row, text: unknown): Row['under'] {
  const [, seq, nonce, boot] = (typeof text === 'string' && /^([0-9]{1,16}) ([0-9a-f]{32}) ([0-9]{1,16})$/.exec(text)) || [];
  if (row.open === undefined || row.image === undefined || nonce === undefined) return undefined;
  const { digest, securityCounter } = row.image;
  const of = {
    ...row.open.of,
    seq: Number(seq),
    nonce,
    action: 'Install' as const,
    image: { digest, securityCounter },
    bootAtOpen: Number(boot),
  };
  return { open: { ...row.open, of, image: row.image }, standing: standingOf(of) };
}

/** Text of nobody: a whole number that can be one, or what is assumed. */
function number(text: unknown, otherwise: number): number {
  const value = typeof text === 'string' && /^[0-9]{1,16}$/.test(text) ? Number(text) : otherwise;
  return Number.isSafeInteger(value) ? value : otherwise;
}
