// The firmware of a device as far as updates go: docs/reference/firmware-protocol.md, the table of states. Whatever it has to remember is in its memory before it
// acts or answers, so that it goes on after any power cut. It never puts a directive off: nobody uses it.
import { randomBytes, randomInt, type X509Certificate } from 'node:crypto';
import { type Booted, otherSlot } from './bootloader.ts';
import { type Floor, judge } from './directive.ts';
import { bring, type Fetch } from './download.ts';
import type { Flash } from './flash.ts';
import type { Directive } from './form.ts';
import { type Nvm, openNvm } from './nvm.ts';

export type Stage =
  | 'Idle'
  | 'Accepted'
  | 'Rejected'
  | 'Downloading'
  | 'Verified'
  | 'Staged'
  | 'Rebooting'
  | 'Testing'
  | 'Confirmed'
  | 'RolledBack'
  | 'Failed';

export type World = {
  device: string;
  component: string;
  classId: string;
  cas: readonly X509Certificate[];
  flash: Flash;
  /** Seconds; undefined for a device without a clock. */
  now(): number | undefined;
  /** Seconds since some moment; it only rises. */
  elapsed(): number;
  wait(ms: number): Promise<void>;
  /** Whether the broker has acknowledged it. */
  publish(topic: 'hello' | 'state' | 'log', payload: string): Promise<boolean>;
  fetch: Fetch;
  /** The checks of the running image: a bit for each that failed, undefined when it hangs. */
  selfTest(image: Buffer): number | undefined;
};

export type Job = { directive: Directive; stage: Stage; offset?: number; code?: number; selfTest?: number; text?: string };
type Kept = { floors: Record<string, Floor>; job?: Job };

const TRIES = 10;
const HELLO_AGAIN_S = 60;
const RUNS_ALREADY = 5;
const BUSY = 14;

export class Agent {
  readonly #world: World;
  readonly #booted: Booted;
  readonly #nvm: Nvm<Kept>;
  readonly #nonce = randomBytes(16).toString('hex');
  readonly #inbox: Uint8Array[] = [];
  #n = 0;
  /** `n` of the newest state that it has begun to say. */
  #said = 0;
  #isBusy = false;
  #saidHello = Number.NEGATIVE_INFINITY;
  /** When the download began, or went on after a restart. */
  #downloadsSince: number | undefined;
  wantsRestart = false;

  constructor(world: World, booted: Booted) {
    this.#world = world;
    this.#booted = booted;
    this.#nvm = openNvm<Kept>(world.flash, 'app', { floors: {} });
  }

  /** After a start, and after each connect. */
  async connected(): Promise<void> {
    // What comes meanwhile waits for its turn.
    this.#isBusy = true;
    await this.#hello();
    this.#afterBoot();
    await this.#say();
    await this.#work();
  }

  /** The connection is new and the boot is not: what it works at goes on. */
  async reconnected(): Promise<void> {
    await this.#hello();
    await this.#say();
  }

  async receive(bytes: Uint8Array): Promise<void> {
    this.#inbox.push(bytes);
    if (!this.#isBusy) await this.#work();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    try {
      do {
        for (let next = this.#inbox.shift(); next !== undefined && !this.wantsRestart; next = this.#inbox.shift()) await this.#take(next);
      } while (!this.wantsRestart && (await this.#step()));
    } finally {
      this.#isBusy = false;
    }
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const { device, cas, component } = this.#world;
    const { floors, job } = this.#nvm.value;
    const judged = judge(bytes, { device, cas, now: this.#world.now(), nonce: this.#nonce, floors });
    if (judged.verdict === 'dropped') {
      if (judged.why === 'echo') await this.#helloAgain();
      await this.#world.publish('log', `a directive was dropped: ${judged.why}`);
      return;
    }
    const { directive, floor, verdict } = judged;
    const noted = { ...floors, [directive.component]: floor };
    if (verdict === 'known') {
      this.#nvm.save({ ...this.#nvm.value, floors: noted });
      return this.#say();
    }
    const isSwitching = job !== undefined && (job.stage === 'Rebooting' || job.stage === 'Testing');
    const code = verdict === 'expired' ? 6 : directive.component !== component ? 3 : isSwitching ? BUSY : undefined;
    // While it is between two images, the job that says so stays.
    if (isSwitching) {
      this.#nvm.save({ ...this.#nvm.value, floors: noted });
      return this.#say({ directive, stage: 'Rejected', code: code ?? BUSY });
    }
    this.#downloadsSince = undefined;
    const stage: Stage = code !== undefined ? 'Rejected' : directive.action === 'Cancel' ? 'Idle' : 'Accepted';
    this.#nvm.save({ floors: noted, job: { directive, stage, ...(code === undefined ? {} : { code }) } });
    await this.#say();
  }

  /** One step of the job; false when there is nothing to do until somebody says something. */
  async #step(): Promise<boolean> {
    const { job } = this.#nvm.value;
    if (job === undefined) return false;
    if (job.stage === 'Accepted') return this.#begin(job);
    if (job.stage === 'Downloading') return this.#bring(job);
    if (job.stage === 'Verified') return this.#to(job, { stage: 'Staged' });
    if (job.stage === 'Staged') return job.directive.action === 'Install' ? this.#to(job, { stage: 'Rebooting' }) : false;
    if (job.stage === 'Rebooting') return this.#reboot(job);
    return job.stage === 'Testing' ? this.#test(job) : false;
  }

  async #begin(job: Job): Promise<boolean> {
    const { directive } = job;
    if (directive.action === 'Install' || directive.action === 'Stage') {
      if (directive.artifact?.digest === this.#booted.digest) return this.#to(job, { stage: 'Rejected', code: RUNS_ALREADY });
      return this.#bring(job);
    }
    const found = this.#booted.services.inSlot(otherSlot(this.#booted.slot));
    if (found === 4) return this.#to(job, { stage: 'Rejected', code: 4 });
    const holds = typeof found !== 'number' && found.artifacts.some(({ digest }) => digest === directive.artifact?.digest);
    return holds ? this.#to(job, { stage: 'Rebooting' }) : this.#to(job, { stage: 'Rejected', code: 5 });
  }

  async #bring(job: Job): Promise<boolean> {
    const { flash, fetch, wait, now, classId } = this.#world;
    const slot = otherSlot(this.#booted.slot);
    const before = job.stage === 'Downloading' ? (job.offset ?? 0) : undefined;
    if (before === undefined) await wait(randomInt(job.directive.jitter * 1000 + 1));
    if (this.#isTooLong(job)) return this.#to(job, { stage: 'Failed', code: 8 });
    const step = await bring(job.directive, before, { flash, fetch, wait, now: now(), classId, slot, services: this.#booted.services });
    if ('code' in step) return this.#to(job, { stage: step.rejected ? 'Rejected' : 'Failed', code: step.code });
    return this.#to(job, step.offset === undefined ? { stage: 'Verified' } : { stage: 'Downloading', offset: step.offset });
  }

  #isTooLong({ directive }: Job): boolean {
    this.#downloadsSince ??= this.#world.elapsed();
    return this.#world.elapsed() - this.#downloadsSince > directive.timeouts.download;
  }

  /** Written down first: whoever is started afterwards knows why. */
  #reboot({ directive }: Job): boolean {
    this.#booted.services.activate(otherSlot(this.#booted.slot), directive.nonce);
    return this.#restart();
  }

  #restart(): boolean {
    this.wantsRestart = true;
    return false;
  }

  /** Both: its own checks, and that it reaches the broker. */
  async #test(job: Job): Promise<boolean> {
    const { selfTest, publish } = this.#world;
    const failed = selfTest(this.#booted.image);
    const isReached = failed === 0 && (await publish('log', 'the broker is reached'));
    if (isReached) {
      this.#booted.services.confirm();
      return this.#to(job, { stage: 'Confirmed', selfTest: 0 });
    }
    const bits = failed === undefined || failed === 0 ? {} : { selfTest: failed };
    this.#nvm.save({ ...this.#nvm.value, job: { ...job, code: 'selfTest' in bits ? 10 : 11, ...bits } });
    return this.#restart();
  }

  /** What came of the job while the device was off. */
  #afterBoot(): void {
    const { job } = this.#nvm.value;
    if (job === undefined || (job.stage !== 'Rebooting' && job.stage !== 'Testing' && job.stage !== 'Confirmed')) return;
    const { digest, mode, services } = this.#booted;
    const runsIt = digest === job.directive.artifact?.digest;
    if (job.stage === 'Confirmed' && runsIt) return;
    if (runsIt && mode === 'Test') this.#keep(job, { stage: 'Testing' });
    // Confirmed at the bootloader, and cut off before it was written down here.
    else if (runsIt && mode === 'Normal') this.#keep(job, { stage: 'Confirmed' });
    // Cut off before the bootloader was asked: it is asked again.
    else if (job.stage === 'Rebooting' && services.lastTried() !== job.directive.nonce) return;
    else this.#keep(job, { stage: 'RolledBack', code: job.code ?? 11 });
  }

  async #to(job: Job, change: Partial<Job>): Promise<boolean> {
    this.#keep(job, change);
    await this.#say();
    return true;
  }

  #keep({ offset: _, ...job }: Job, change: Partial<Job>): void {
    this.#nvm.save({ ...this.#nvm.value, job: { ...job, ...change } });
  }

  /** The present state, again until it is acknowledged, or there is a newer one: an older one that comes after it would stand at the broker in its place. */
  async #say(job = this.#nvm.value.job): Promise<void> {
    this.#n += 1;
    const n = this.#n;
    this.#said = n;
    const text = JSON.stringify(this.#state(job));
    for (let tries = 0; tries < TRIES && this.#said === n && !this.wantsRestart; tries++) {
      if (await this.#world.publish('state', text)) return;
      await this.#world.wait(1000 * 2 ** tries);
    }
  }

  #state(job: Job | undefined): Record<string, unknown> {
    const { device, component } = this.#world;
    const { boot, digest, services, report } = this.#booted;
    const head = { v: 1, device, component, seq: 0, boot, n: this.#n, state: 'Idle', digest, securityCounter: services.counter() };
    if (job === undefined) return head;
    const { directive, stage, code, selfTest, offset } = job;
    const isEnd = stage === 'Rejected' || stage === 'RolledBack' || stage === 'Failed';
    const hasRun = stage === 'Testing' || stage === 'Confirmed' || stage === 'RolledBack' || stage === 'Failed';
    return {
      ...{ ...head, component: directive.component, seq: directive.seq, nonce: directive.nonce, state: stage },
      ...(isEnd ? { code: code ?? 16 } : {}),
      ...(hasRun && selfTest !== undefined ? { selfTest } : {}),
      ...(hasRun || (stage === 'Rejected' && code === RUNS_ALREADY) ? { bootReport: report } : {}),
      ...(stage === 'Downloading' ? { offset: offset ?? 0, total: directive.artifact?.size ?? 1 } : {}),
      ...(stage === 'Staged' || stage === 'Rebooting' ? { staged: directive.artifact?.digest } : {}),
    };
  }

  async #helloAgain(): Promise<void> {
    if (this.#world.elapsed() - this.#saidHello >= HELLO_AGAIN_S) await this.#hello();
  }

  async #hello(): Promise<void> {
    this.#saidHello = this.#world.elapsed();
    const { device, component, classId } = this.#world;
    const { boot, digest, version, slot, services, report } = this.#booted;
    const now = this.#world.now();
    const seq = this.#nvm.value.floors[component]?.seq ?? 0;
    const epochs = Object.values(this.#nvm.value.floors).map(({ epoch }) => epoch);
    this.#n += 1;
    const hello = {
      ...{ v: 1, device, classId, boot, n: this.#n, nonce: this.#nonce, hasClock: now !== undefined && now >= Math.max(0, ...epochs) },
      ...{ rootVersion: services.rootVersion(), caps: ['http-range'], bootReport: report },
      components: [{ component, version, digest, slot, securityCounter: services.counter(), seq }],
    };
    await this.#world.publish('hello', JSON.stringify(hello));
  }
}
