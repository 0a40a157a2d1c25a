// The core of a driver: everything it decides, and nothing that reads or writes. It is told what was heard and what time it is, and says what is to be sent and written.
import type { FirmwareRecord } from '../api/device.ts';
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { deviceName } from '../api/names.ts';
import { type Directive, rankOf } from '../firmware/firmware.ts';
import { createAlarms } from './alarms.ts';
import { type Order, orderOf } from './directives.ts';
import { cancel, late } from './endings.ts';
import { createGroups } from './groups.ts';
import { directiveHeard, helloHeard, imageBack, isOpen, stateHeard } from './hearing.ts';
import { offer } from './offering.ts';
import { createPace } from './pace.ts';
import { imagesOf, isOurs, type Plan } from './plan.ts';
import { createQueue } from './queue.ts';
import { type DeviceFacts, newRow, type Row, UNKNOWN_VERSION } from './row.ts';
import { type Counts, createSets } from './sets.ts';
import type { State } from './state.ts';

/** What is to stand in status.firmware of a device. */
export type DeviceEnd = { uid: string; namespace: string; name: string; record: FirmwareRecord };

export type Tick = {
  publish: readonly Order[];
  record: readonly DeviceEnd[];
  counts: Counts;
  /** Done: every device is at an end, or was never reached. */
  phase: 'Running' | 'Done';
  /** When to ask again though nothing is heard, ms since 1970; undefined: not before something is. */
  next: number | undefined;
  /** A driver that came later is at work: nothing is to be done any more. */
  isSuperseded: boolean;
};

export type CoreDeps = {
  /** 16 random bytes in hex. */
  nonce(): string;
  /** The directive, where a directive key of the site has signed it for this device (firmware/directive-reader.ts). */
  readDirective(device: string, bytes: Uint8Array): Directive | undefined;
};

/** So many at a time: between two the driver looks whether it may still act. */
const MOST_AT_ONCE = 500;
const AGAIN_MS = 1;
const TOPIC = /^ota\/v1\/d\/([^/]+)\/(state|hello|directive)$/;

export class Core {
  readonly #state: State;
  readonly #deps: CoreDeps;
  readonly #groups: ReturnType<typeof createGroups>;
  readonly #byName = new Map<string, Row>();
  readonly #refused = new Map<string, number>();
  #isSuperseded = false;

  constructor(plan: Plan, deps: CoreDeps) {
    this.#deps = deps;
    this.#groups = createGroups(plan);
    const parts = {
      sets: createSets(),
      alarms: createAlarms(),
      queue: createQueue(),
      pace: createPace(),
      toSend: new Set<Row>(),
      toRecord: new Set<Row>(),
    };
    this.#state = { plan, ...parts, image: imagesOf(plan), nonce: deps.nonce, isGathering: true, isFirstTime: true, heldAt: undefined };
  }

  /** A Device as it stands in the cluster now; each of the site, those of other drivers too. */
  device(facts: DeviceFacts, now: number): void {
    const { plan, sets } = this.#state;
    const { uid, name, namespace } = facts.candidate;
    this.#groups.set(facts);
    this.#state.heldAt = undefined;
    const known = sets.rows.get(uid);
    if (!isOurs(plan, facts, known !== undefined && isOpen(known))) return void this.#forget(known);
    const row = known ?? newRow(deviceName(name, namespace), rankOf(plan.release.uid, uid), facts);
    row.facts = facts;
    row.image = this.#state.image(facts);
    this.#byName.set(row.name, row);
    this.#assess(row, now);
    sets.place(row);
  }

  /** The wave goes on at another pace. What else is decided anew, another driver carries out. */
  paced({
    perMinute,
    maxInFlight,
    suspend,
    grantExpires,
  }: Pick<FirmwareWaveSpec, 'perMinute' | 'maxInFlight' | 'suspend' | 'grantExpires'>): void {
    const { plan } = this.#state;
    this.#state.plan = { ...plan, wave: { ...plan.wave, perMinute, maxInFlight, suspend, grantExpires } };
  }

  gone(uid: string): void {
    this.#groups.forget(uid);
    this.#forget(this.#state.sets.rows.get(uid));
  }

  /** A message of the broker. `properties`: its user properties. Bytes of anybody. */
  heard(topic: string, bytes: Uint8Array, properties: Record<string, unknown>, now: number): void {
    const [, device = '', kind] = TOPIC.exec(topic) ?? [];
    const row = this.#byName.get(device);
    if (row === undefined) return;
    if (kind === 'directive') return void this.#directive(row, bytes, properties, now);
    // One that was down is heard of.
    if (row.place === 'Ended') this.#state.heldAt = undefined;
    const refusal = kind === 'state' ? stateHeard(this.#state, row, bytes, now) : helloHeard(this.#state, row, bytes, now);
    if (refusal !== undefined) this.#refused.set(refusal, (this.#refused.get(refusal) ?? 0) + 1);
    this.#state.sets.place(row);
  }

  /** The broker was connected to, anew or for the first time: what it keeps comes now. */
  connected(): void {
    this.#state.isGathering = true;
    for (const row of this.#state.sets.rows.values()) row.isKept = false;
  }

  /** What the broker keeps has come. */
  gathered(now: number): void {
    const { plan, sets, toSend, alarms } = this.#state;
    this.#state.isGathering = false;
    for (const row of sets.rows.values()) {
      row.held = undefined;
      if (!isOpen(row)) continue;
      // Taken up from another driver: under the fence of this one. Lost by the broker: again.
      if (this.#state.isFirstTime || !row.isKept) toSend.add(row);
      if (row.dueAt === undefined) alarms.set(row, now + 300_000);
    }
    if (this.#state.isFirstTime && plan.wave.action !== 'Install') this.#stopAll(now);
    this.#state.isFirstTime = false;
  }

  tick(now: number): Tick {
    const { alarms, toSend, toRecord } = this.#state;
    for (const row of alarms.due(now)) late(this.#state, row, now);
    const next = offer(this.#state, this.#groups, now);
    const publish = this.#orders(now);
    const record = [...toRecord].map((row) => this.#end(row));
    toRecord.clear();
    const times = [next, alarms.next(), toSend.size > 0 ? now + AGAIN_MS : undefined].filter((at) => at !== undefined);
    return {
      ...{ publish, record, counts: this.#state.sets.counts(), isSuperseded: this.#isSuperseded },
      phase: this.#isAtWork() ? 'Running' : 'Done',
      next: times.length === 0 ? undefined : Math.min(...times),
    };
  }

  /** An end of the last tick stands in the status of its device; `record`: as it stands there. */
  recorded(uid: string, record: FirmwareRecord): void {
    const { sets, toRecord, toSend } = this.#state;
    const row = sets.rows.get(uid);
    // It may have come to another end meanwhile: then that one is written as well.
    if (row === undefined || row.place !== 'Ended' || toRecord.has(row)) return;
    row.facts = { ...row.facts, record };
    row.isRecorded = true;
    row.isAhead = true;
    if (!toSend.has(row)) close(row);
    sets.place(row);
  }

  /** It could not be written: it is to be written again. */
  notRecorded(uid: string): void {
    const row = this.#state.sets.rows.get(uid);
    if (row?.place === 'Ended' && !row.isRecorded) this.#state.toRecord.add(row);
  }

  /** Devices that failed, the newest first. */
  failures(most: number): { device: string; code: string; at: number }[] {
    const failed = [...this.#state.sets.rows.values()].flatMap((row) => failureOf(row) ?? []);
    return failed.sort((a, b) => b.at - a.at || (a.device < b.device ? -1 : 1)).slice(0, most);
  }

  /** How often messages did not count, by code. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  #directive(row: Row, bytes: Uint8Array, properties: Record<string, unknown>, now: number): void {
    const directive = this.#deps.readDirective(row.name, bytes);
    if (directive === undefined) return;
    const { plan } = this.#state;
    if (directive.component === plan.wave.component && directive.fence > plan.fence) this.#isSuperseded = true;
    directiveHeard(this.#state, row, directive, properties, now);
  }

  /** Where a row is by what its Device says. */
  #assess(row: Row, now: number): void {
    const { plan } = this.#state;
    const { record } = row.facts;
    const own = record?.releaseUid === plan.release.uid && record.result !== undefined ? record : undefined;
    const isOld = plan.wave.action === 'Revert' ? own === undefined || own.result === 'Confirmed' : own === undefined;
    const isPending = row.place === 'Ended' && !row.isRecorded && !row.hasStayed;
    if (isOld && (row.isAhead || isPending)) return;
    if (own === undefined) return void this.#unended(row);
    row.isAhead = false;
    const mayGoBack = plan.wave.action === 'Revert' && own.result === 'Confirmed' && !row.hasStayed && imageBack({ ...row }) !== undefined;
    if (mayGoBack && (isOpen(row) || row.place === 'Waiting')) return;
    this.#byRecord(row, own, now);
    if (mayGoBack) this.#wait(row);
  }

  #unended(row: Row): void {
    if (isOpen(row) || row.place === 'Waiting') return;
    if (row.place === 'Ended') Object.assign(row, newRow(row.name, row.rank, row.facts), { image: row.image, heard: row.heard });
    if (this.#state.plan.wave.action === 'Install') this.#wait(row);
    else row.place = 'Out';
  }

  #wait(row: Row): void {
    Object.assign(row, { place: 'Waiting', nextAttempt: 1, notBefore: 0, attempt: 0, since: 0, hasAnswered: false });
    this.#state.queue.add(row);
  }

  #byRecord(row: Row, { result, code, proof, attempt, endedAt, previous }: FirmwareRecord, now: number): void {
    if (result === undefined) return;
    this.#state.alarms.set(row, undefined);
    this.#state.toRecord.delete(row);
    const at = Date.parse(endedAt ?? '');
    row.end = { result, code, proof, at: Number.isNaN(at) ? now : at, previous };
    Object.assign(row, { place: 'Ended', attempt: attempt ?? 1, isRecorded: true });
    if (!this.#state.toSend.has(row)) close(row);
  }

  #stopAll(now: number): void {
    for (const row of this.#state.sets.rows.values()) {
      const isReverting = row.open?.of.action === 'Revert' || (row.open === undefined && !row.isStaged);
      if (row.place !== 'Ended' && row.place !== 'Out' && !isReverting) cancel(this.#state, row, now);
    }
  }

  #orders(now: number): Order[] {
    const { toSend, plan } = this.#state;
    const orders: Order[] = [];
    for (const row of toSend) {
      if (orders.length === MOST_AT_ONCE) break;
      toSend.delete(row);
      if (row.open === undefined) continue;
      row.sentAt = now;
      row.isKept = true;
      orders.push(orderOf(plan, row, row.open));
      if (row.place === 'Ended' && row.isRecorded) close(row);
    }
    return orders;
  }

  #end(row: Row): DeviceEnd {
    const { candidate } = row.facts;
    return { uid: row.uid, namespace: candidate.namespace, name: candidate.name, record: recordOf(this.#state.plan, row) };
  }

  #isAtWork(): boolean {
    const { sets, toSend, isGathering } = this.#state;
    return isGathering || sets.waiting.size + sets.busy.size + sets.unwritten.size + toSend.size > 0;
  }

  #forget(row: Row | undefined): void {
    if (row === undefined) return;
    const { sets, toSend, toRecord, alarms } = this.#state;
    alarms.set(row, undefined);
    row.place = 'Out';
    toSend.delete(row);
    toRecord.delete(row);
    sets.remove(row);
    this.#byName.delete(row.name);
  }
}

/** What was open is over, and nothing of it is kept. */
function close(row: Row): void {
  Object.assign(row, { open: undefined, standing: undefined, under: undefined, held: undefined });
}

const FAILURES: readonly string[] = ['Rejected', 'Failed', 'RolledBack', 'TimedOut', 'Lost'];

function failureOf({ name, place, end, hasStayed }: Row): { device: string; code: string; at: number } | undefined {
  if (place !== 'Ended' || end === undefined) return undefined;
  if (hasStayed) return { device: name, code: 'NotReverted', at: end.at };
  if (!FAILURES.includes(end.result)) return undefined;
  return { device: name, code: end.code === undefined ? end.result : `${end.result} ${end.code}`, at: end.at };
}

function recordOf({ release, wave }: Plan, { facts, heard, image, attempt, end, before }: Row): FirmwareRecord {
  const at = `${new Date(end?.at ?? 0).toISOString().slice(0, 19)}Z`;
  const known = [image, before, facts.record, facts.candidate.running[wave.component]].flatMap((one) => one ?? []);
  const digest = end?.result === 'Confirmed' ? image?.digest : (heard?.digest ?? before?.digest ?? facts.record?.digest);
  const version = heard?.digest === digest ? heard?.version : undefined;
  return {
    version: version ?? known.find((one) => one.digest === digest)?.version ?? UNKNOWN_VERSION,
    digest: digest ?? '',
    ...(heard === undefined ? {} : { securityCounter: heard.securityCounter }),
    ...{ release: `${release.namespace}/${release.name}`, releaseUid: release.uid, step: wave.step, attempt: Math.max(1, attempt) },
    ...(end === undefined ? {} : { result: end.result }),
    ...(end?.code === undefined ? {} : { code: end.code }),
    ...(end?.proof === undefined ? {} : { proof: end.proof }),
    ...(end?.previous === undefined ? {} : { previous: end.previous }),
    endedAt: at,
    ...(end?.result === 'Confirmed' ? { confirmedAt: at } : {}),
  };
}
