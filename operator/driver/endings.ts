// What an answer of a device leads to: a next step, another try, or an end.
import { type DeviceState, hasEnded, nextSeq, retryAt, spanMs, standingOf } from '../firmware/firmware.ts';
import { openFor, renewed } from './directives.ts';
import { ANSWER_MS, GRACE_MS } from './policy.ts';
import { type Open, PHASES, type Phase, type Result, type Row } from './row.ts';
import type { State } from './state.ts';

const BUSY = 14;
const USER_DENIED = 13;
export const RUNS_ALREADY = 5;

/** After a message that counted for the open directive. */
export function settle(state: State, row: Row, now: number): void {
  const { open, standing } = row;
  if (open === undefined || standing === undefined) return;
  row.hasAnswered = true;
  if (hasEnded(open.of, standing)) ended(state, row, now);
  else if (standing.state !== 'Offered') {
    // It was no end after all, and is not written yet. One that is written stands: a device that is told to go back has confirmed until it has gone.
    if (!row.isRecorded) row.end = undefined;
    state.toRecord.delete(row);
    onTheWay(state, row, standing.state, now);
  }
  state.sets.place(row);
}

/** Its time is over: it waits no longer, is away, took too long, or is lost. */
export function late(state: State, row: Row, now: number): void {
  state.heldAt = undefined;
  if (row.owesEcho && row.standing?.state === 'Offered') quoted(state, row, now);
  else if (row.place === 'Waiting') state.queue.add(row);
  else if (row.place === 'Ended' && !row.isRecorded) state.toRecord.add(row);
  else if (row.place === 'Straggler') send(state, row, now);
  else if (row.place === 'Busy') {
    if (row.standing?.state === 'Offered') unanswered(state, row, now);
    else if (now < row.untilAt) askMeanwhile(state, row, now);
    else tooLong(state, row, now);
  }
  state.sets.place(row);
}

/** The same directive with the nonce of the last hello. */
function quoted(state: State, row: Row, now: number): void {
  row.owesEcho = false;
  if (row.open === undefined || row.place === 'Ended') return;
  row.open = renewed(state.plan, row.open, row.heard?.nonce, now);
  state.toSend.add(row);
  state.alarms.set(row, now + ANSWER_MS);
}

/** Sends the open directive, and again before it runs out. */
export function send(state: State, row: Row, now: number): void {
  if (row.open === undefined) return;
  state.toSend.add(row);
  const left = row.open.exp - row.open.iat;
  if (row.place === 'Straggler') state.alarms.set(row, now + Math.floor((left * 1000) / 2));
}

/** A new directive, which takes the place of the one before. */
export function open(state: State, row: Row, made: Open, now: number): void {
  row.lastSeq = made.of.seq;
  row.open = made;
  row.standing = standingOf(made.of);
  Object.assign(row, { place: 'Busy', rebased: 0, owesEcho: false, hasAnswered: false, phase: 'Offered' });
  Object.assign(row, { phaseAt: now, untilAt: 0, openedAt: now });
  state.alarms.set(row, now + ANSWER_MS);
  state.toSend.add(row);
  state.sets.place(row);
}

/** Tells a device to stop, unless it is starting the image: then only its end tells. */
export function cancel(state: State, row: Row, now: number): void {
  const before = row.open === undefined || row.standing === undefined ? undefined : { open: row.open, standing: row.standing };
  if (before?.open.of.action === 'Cancel' || row.phase === 'Reboot' || row.phase === 'Test') return;
  row.under = before;
  const hadAnswered = row.hasAnswered;
  open(state, row, openFor(state.plan, row, { action: 'Cancel', image: undefined, ...fresh(state, row, now) }), now);
  row.hasAnswered = hadAnswered;
  row.isStaged = false;
  state.sets.place(row);
}

export const fresh = (state: State, row: Row, now: number) => ({
  seq: nextSeq(now, row.lastSeq),
  nonce: state.nonce(),
  now,
});

/** The device is at an end that is to stand in its status. */
export function finish(state: State, row: Row, result: Result, now: number): void {
  const { code, proof } = row.standing ?? {};
  row.end = {
    result,
    code: result === 'RolledBack' || result === 'Rejected' || result === 'Failed' ? code : undefined,
    proof: result === 'Confirmed' ? (proof ?? proofOf(row)) : undefined,
    at: now,
    previous: result === 'Confirmed' ? previousOf(state, row) : undefined,
  };
  row.place = 'Ended';
  row.isRecorded = false;
  // A hello shows a rollback, and the state after it says why.
  const isToBeExplained = result === 'RolledBack' && code === undefined;
  state.alarms.set(row, isToBeExplained ? now + EXPLAIN_MS : undefined);
  if (!isToBeExplained) state.toRecord.add(row);
  state.sets.place(row);
}
const EXPLAIN_MS = 10_000;

const proofOf = ({ facts }: Row): 'Proven' | 'Unproven' => (facts.bootKey === undefined ? 'Unproven' : 'Proven');

/** What a Revert would start: the image that ran before this one. */
function previousOf({ plan }: State, { before, facts, image }: Row): Row['before'] {
  if (before !== undefined) return before;
  const running = facts.candidate.running[plan.wave.component];
  if (running === undefined || running.digest === image?.digest) return undefined;
  const { version, digest, securityCounter = 0 } = running;
  return { version, digest, securityCounter };
}

function onTheWay(state: State, row: Row, at: DeviceState, now: number): void {
  const { policy } = state.plan;
  row.place = 'Busy';
  const brings = row.open?.of.action === 'Install' || row.open?.of.action === 'Stage';
  const phase = phaseOf(at, brings);
  if (phase === 'Offered' || PHASES.indexOf(phase) > PHASES.indexOf(row.phase)) {
    row.phase = phase;
    row.phaseAt = now;
  }
  // Whoever puts it off again and again has no longer than an offer lasts.
  const most = row.openedAt + policy.offerMs + policy.jitterMs + policy.downloadMs + policy.installMs;
  const until = {
    Offered: row.openedAt + policy.offerMs,
    Download: Math.min(most, row.phaseAt + policy.jitterMs + policy.downloadMs),
    Install: Math.min(most, row.phaseAt + policy.installMs),
    Reboot: row.phaseAt + policy.confirmMs + GRACE_MS,
    Test: row.phaseAt + policy.confirmMs + GRACE_MS,
  }[row.phase];
  workUntil(state, row, until, now);
}

/** Who is at work may be silent for long, and what it said at the end may not have come through: it is asked now and then. Who puts it off would do so again. */
function workUntil({ alarms }: State, row: Row, until: number, now: number): void {
  row.untilAt = until;
  alarms.set(row, row.phase === 'Offered' ? until : Math.min(until, now + ANSWER_MS));
}

function askMeanwhile(state: State, row: Row, now: number): void {
  if (row.phase !== 'Offered') state.toSend.add(row);
  workUntil(state, row, row.untilAt, now);
}

/** How long a phase may last. */
function lastingMs({ plan: { policy } }: State, phase: Exclude<Phase, 'Offered'>): number {
  return { Download: policy.downloadMs, Install: policy.installMs, Reboot: policy.confirmMs, Test: policy.confirmMs }[phase];
}

function phaseOf(state: DeviceState, brings: boolean): Phase {
  if (state === 'Deferred') return 'Offered';
  if (state === 'Downloading' || (state === 'Accepted' && brings)) return 'Download';
  if (state === 'Rebooting') return 'Reboot';
  return state === 'Testing' ? 'Test' : 'Install';
}

function ended(state: State, row: Row, now: number): void {
  const [action, at] = [row.open?.of.action, row.standing?.state];
  if (action === 'Cancel') {
    if (at === 'Idle') stopped(state, row, now);
    else notStopped(state, row, now);
    return;
  }
  if (action === 'Revert') {
    if (at === 'Confirmed') finish(state, row, 'Reverted', now);
    else stayed(state, row, now);
    return;
  }
  if (action === 'Stage' && at === 'Staged') return void staged(state, row, now);
  if (at === 'Confirmed' || at === 'RolledBack') return void finish(state, row, at, now);
  const runs = runsAlready(row);
  if (runs === 'Shown') return void finish(state, row, 'Confirmed', now);
  if (runs === 'Said') return void waitForProof(state, row, now);
  if (wasUnstaged(row)) {
    row.isStaged = false;
    return void rest(state, row, now, row.attempt + 1, now);
  }
  const next = againAt(state, row, now);
  if (next === undefined) finish(state, row, at === 'Rejected' ? 'Rejected' : 'Failed', now);
  else rest(state, row, next.at, next.attempt, now);
}

/**
 * A device that runs the image refuses to install it. It happens where driver and broker have both forgotten that it was told to: it is done. Where a boot key is
 * registered, this answer or its hello of this boot has to bring the bootloader's word for it.
 */
function runsAlready(row: Row): 'Shown' | 'Said' | undefined {
  const { open, standing } = row;
  const saysSo = standing?.state === 'Rejected' && standing.code === RUNS_ALREADY && open?.of.action !== 'Activate';
  return saysSo ? runsImage(row) : undefined;
}

function runsImage({ heard, image, otherBoot, facts }: Row): 'Shown' | 'Said' | undefined {
  if (heard === undefined || heard.digest !== image?.digest) return undefined;
  if (heard.securityCounter < image.securityCounter || heard.boot <= otherBoot) return undefined;
  return facts.bootKey === undefined || heard.isProven ? 'Shown' : 'Said';
}

/** The other slot does not hold it any more: it is staged again. */
function wasUnstaged({ open, standing, attempt }: Row): boolean {
  return open?.of.action === 'Activate' && standing?.state === 'Rejected' && standing.code === RUNS_ALREADY && attempt < MOST_STAGINGS;
}
const MOST_STAGINGS = 4;
const MOST_ASKS = 20;

function waitForProof(state: State, row: Row, now: number): void {
  row.place = 'Busy';
  if (row.phase === 'Test') return;
  row.phase = 'Test';
  row.phaseAt = now;
  workUntil(state, row, now + state.plan.policy.confirmMs + GRACE_MS, now);
}

function staged(state: State, row: Row, now: number): void {
  row.isStaged = true;
  rest(state, row, now, row.attempt, now);
  if (state.plan.wave.action !== 'Install' && !state.isGathering) cancel(state, row, now);
}

/** It waits, and is offered it again then. */
function rest({ queue, alarms }: State, row: Row, at: number, attempt: number, now: number): void {
  Object.assign(row, { place: 'Waiting', open: undefined, standing: undefined, nextAttempt: attempt, notBefore: at, phase: 'Offered' });
  if (at <= now) queue.add(row);
  else alarms.set(row, at);
}

/** A device that is busy, or whose user says no, is asked again for as long as an offer lasts; that is no failure and uses no retry up. */
function againAt({ plan: { wave, policy } }: State, row: Row, now: number): { at: number; attempt: number } | undefined {
  const { code } = row.standing ?? {};
  if (wave.action === 'Stop' || code === undefined) return undefined;
  if (code === BUSY || (code === USER_DENIED && !policy.isSoft)) {
    const { base = '10m', factor = 2, cap = '12h' } = policy.retry?.backoff ?? {};
    const at = now + Math.min(spanMs(cap), spanMs(base) * factor ** Math.min(row.asks, 32));
    row.asks += 1;
    return at > row.since + policy.offerMs ? undefined : { at, attempt: row.attempt };
  }
  if (wave.action !== 'Install') return undefined;
  const at = retryAt(policy.retry, { code, tries: row.attempt, failedAt: now });
  return at === undefined ? undefined : { at, attempt: row.attempt + 1 };
}

function stopped(state: State, row: Row, now: number): void {
  finish(state, row, runsImage(row) === 'Shown' ? 'Confirmed' : 'Cancelled', now);
}

/** It is starting the image. Its directive goes back to its place, so that the next driver finds it. */
function notStopped(state: State, row: Row, now: number): void {
  const { under } = row;
  // Nobody remembers what it was told: the image that runs in the end has to tell.
  if (under === undefined) {
    if (runsImage(row) === 'Shown') finish(state, row, 'Confirmed', now);
    else waitForProof(state, row, now);
    return;
  }
  Object.assign(row, { open: under.open, standing: under.standing, under: undefined, hasAnswered: true });
  state.toSend.add(row);
  if (row.phase !== 'Test') Object.assign(row, { place: 'Busy', phase: 'Reboot', phaseAt: now });
  workUntil(state, row, now + state.plan.policy.confirmMs + GRACE_MS, now);
}

/** It did not go back: what it confirmed is still what it runs. */
function stayed(state: State, row: Row, now: number): void {
  const next = againAt(state, row, now);
  if (next !== undefined) return void rest(state, row, next.at, next.attempt, now);
  row.hasStayed = true;
  row.place = 'Ended';
  state.alarms.set(row, undefined);
}

/**
 * The directive again: a device answers one that it has taken by its present state. Its answer may not have come through, for a broker drops what a slow subscriber does not
 * take in time; and a device without a clock says hello once a minute and no more, maybe while nobody listened.
 */
function ask(state: State, row: Row, now: number, withinMs = ANSWER_MS): void {
  state.toSend.add(row);
  state.alarms.set(row, now + withinMs);
}

function unanswered(state: State, row: Row, now: number): void {
  const action = row.open?.of.action;
  const isAsked = row.sentAt >= row.openedAt + ANSWER_MS;
  if (action === 'Cancel') {
    if (!isAsked) return void ask(state, row, now);
    if (row.under !== undefined && row.under.standing.state !== 'Offered') finish(state, row, 'Cancelled', now);
    else row.place = 'Out';
    return;
  }
  if (row.otherAt >= row.sentAt && row.asks < MOST_ASKS && action !== undefined) {
    // It is there, and tells of another directive: it was busy when it took this one, and will not answer it any more.
    row.asks += 1;
    open(state, row, openFor(state.plan, row, { action, image: row.open?.image, ...fresh(state, row, now) }), now);
    return;
  }
  if (!isAsked) return void ask(state, row, now);
  if (state.plan.policy.dropsStragglers && action !== 'Revert') {
    cancel(state, row, now);
    return void finish(state, row, 'Cancelled', now);
  }
  row.place = 'Straggler';
  const valid = ((row.open?.exp ?? 0) - (row.open?.iat ?? 0)) * 1000;
  state.alarms.set(row, now + Math.floor(valid / 2));
}

function tooLong(state: State, row: Row, now: number): void {
  const { open, standing, phase, heard } = row;
  if (open === undefined || standing === undefined) return;
  // Nobody is given up who was not asked when its time was over. Who puts it off would do so again.
  if (phase !== 'Offered' && row.sentAt < row.untilAt) return void ask(state, row, now, Math.min(ANSWER_MS, lastingMs(state, phase)));
  if (open.of.action === 'Revert') return void stayed(state, row, now);
  if (hasEnded(open.of, standing)) return void finish(state, row, open.of.action === 'Cancel' ? 'TimedOut' : 'Rejected', now);
  if (phase === 'Reboot' || phase === 'Test') {
    const hasReturned = (heard?.boot ?? 0) > standing.baseBoot;
    finish(state, row, hasReturned ? 'TimedOut' : 'Lost', now);
    return;
  }
  // What is over is over: it is not to start the image some day.
  cancel(state, row, now);
  finish(state, row, 'TimedOut', now);
}
