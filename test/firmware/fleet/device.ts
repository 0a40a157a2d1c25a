// One device of the virtual fleet: docs/reference/firmware-protocol.md as a machine of a few hundred bytes. It has no bytes of images and no flash; what it checks of
// signatures it checks with the reference device's code. What it really runs is for the ledger alone: nobody else is told by it.
import type { KeyObject } from 'node:crypto';
import type { DeviceState } from '../../../operator/firmware/protocol.ts';
import { type Floor, inOrder, type Judged } from '../../simulator/firmware/directive.ts';
import { seal } from '../../simulator/firmware/envelope.ts';
import type { Directive } from '../../simulator/firmware/form.ts';
import type { Lie, Nature, Said } from './nature.ts';
import { between, nonceBy, type Random, seeded } from './random.ts';

export type Image = { digest: string; version: string; securityCounter: number };

/** What a device stands on. Times in ms. */
export type Ground = {
  now(): number;
  after(ms: number, act: () => void): void;
  /** A socket to the broker, as soon as there is one. `take`: false where the device does not want it any more. */
  connect(device: VirtualDevice, take: () => boolean): void;
  disconnect(device: VirtualDevice): void;
  /** Retained where it is a state; `device.acknowledged(payload)` may follow. */
  publish(device: VirtualDevice, topic: 'hello' | 'state', payload: string): void;
  /** Signature and form of a directive; undefined: dropped. */
  read(device: VirtualDevice, bytes: Uint8Array): { directive: Directive; epoch: number } | undefined;
  /** The nature of lies is about what the rollout wants. */
  lie(nature: Nature): Lie | undefined;
};

type Made = {
  name: string;
  nature: Nature;
  image: Image;
  ground: Ground;
  seed: number;
  bootKeys: { privateKey: KeyObject; publicKey: KeyObject } | undefined;
};

type Job = { directive: Directive; stage: DeviceState; pieces: number; code?: number; selfTest?: number };
type Trial = { image: Image; nonce: string; tried: boolean };

const BOOT_TYPE = 'application/vnd.hedgerow.firmware.boot.v1+json';
const ENDS: readonly DeviceState[] = ['Idle', 'Rejected', 'Confirmed', 'RolledBack', 'Failed'];
const RUNS_ALREADY = 5;
const PIECES = 3;
const TRIES = 10;
const SECOND = 1000;
const MINUTE = 60_000;
/** What a clock of 1970 says when the world begins. */
const START_OF_1970_S = 3600;

export class VirtualDevice {
  readonly name: string;
  readonly nature: Nature;
  /** As it is registered. */
  readonly bootKey: KeyObject | undefined;
  readonly #bootKey: KeyObject | undefined;
  readonly #ground: Ground;
  readonly #random: Random;
  readonly #startedAt: number;
  readonly #lie: Lie | undefined;
  // What the power does not take.
  /** What it really runs, and whether it was made permanent. */
  image: Image;
  #other: Image | undefined;
  #boots = 0;
  #counter = 0;
  #mode: 'Test' | 'Normal' | 'Reverted' = 'Normal';
  #floor: Floor = { epoch: 0, fence: 0, seq: 0, nonce: '' };
  #job: Job | undefined;
  #trial: Trial | undefined;
  #failures = 0;
  #isLying = false;
  #hasBeenCut = false;
  #hasDeferred = false;
  readonly #past: string[] = [];
  // What it takes.
  #n = 0;
  #life = 0;
  #nonce = '';
  #isOnline = false;
  #unacknowledged: string | undefined;
  #tries = 0;
  #report: Record<string, unknown> | undefined;
  #saidHelloAt = Number.NEGATIVE_INFINITY;
  /** Of the step that is to come next: another one takes its place. */
  #step = 0;
  #isStarting = false;
  #isGone = false;

  constructor({ name, nature, image, ground, seed, bootKeys }: Made) {
    this.name = name;
    this.nature = nature;
    this.image = image;
    this.#ground = ground;
    this.#random = seeded(seed);
    this.#startedAt = ground.now();
    this.#lie = ground.lie(nature);
    this.#bootKey = nature.key === true ? bootKeys?.privateKey : undefined;
    this.bootKey = nature.key === true ? bootKeys?.publicKey : undefined;
  }

  /** Power on. */
  start(): void {
    this.#life += 1;
    this.#boots += 1;
    this.#n = 0;
    this.#nonce = nonceBy(this.#random);
    this.#report = undefined;
    this.#unacknowledged = undefined;
    this.#isStarting = true;
    this.#mode = 'Normal';
    if (this.#trial?.tried === false) {
      [this.#trial, this.#mode] = [{ ...this.#trial, tried: true }, 'Test'];
    } else if (this.#trial !== undefined) {
      [this.#trial, this.#mode] = [undefined, 'Reverted'];
    }
    const { away } = this.nature;
    const delay = away?.from === 'Start' && this.#boots === 1 ? this.#awayFor() : between(this.#random, SECOND, 20 * SECOND);
    if (delay !== undefined) this.#later(delay, () => this.#connect());
  }

  /** The broker ended the connection. */
  disconnected(): void {
    if (!this.#isOnline) return;
    this.#isOnline = false;
    this.#later(between(this.#random, SECOND, 30 * SECOND), () => this.#connect());
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** At work at a directive. */
  get isBusy(): boolean {
    const stage = this.#job?.stage;
    const isAtWork = stage !== undefined && !ENDS.includes(stage) && !(stage === 'Staged' && this.#job?.directive.action === 'Stage');
    return isAtWork && !this.#isLying && !this.#isGone;
  }

  /** What runs now: the image on trial, if there is one. */
  get running(): Image {
    return this.#mode === 'Test' && this.#trial !== undefined ? this.#trial.image : this.image;
  }

  get nonce(): string {
    return this.#nonce;
  }

  get floor(): Floor {
    return this.#floor;
  }

  /** Seconds. */
  clock(): number | undefined {
    const { clock } = this.nature;
    if (clock === 'none') return undefined;
    const now = Math.floor(this.#ground.now() / SECOND);
    return clock === undefined ? now : now - Math.floor(this.#startedAt / SECOND) + START_OF_1970_S;
  }

  receive(bytes: Uint8Array): void {
    const read = this.#ground.read(this, bytes);
    if (read === undefined || this.#isLying) return;
    const { directive, epoch } = read;
    const facts = { device: this.name, cas: [], now: this.clock(), nonce: this.#nonce, floors: { [directive.component]: this.#floor } };
    const judged = inOrder(directive, epoch, facts);
    if (judged.verdict !== 'dropped') return void this.#take(judged);
    if (judged.why === 'echo' && this.#ground.now() - this.#saidHelloAt >= MINUTE) this.#hello();
  }

  acknowledged(payload: string): void {
    if (payload === this.#unacknowledged) this.#unacknowledged = undefined;
  }

  /** The directive that stands on its topic comes by itself. */
  #connect(): void {
    const life = this.#life;
    this.#ground.connect(this, () => {
      if (life !== this.#life) return false;
      this.#isOnline = true;
      this.#hello();
      if (this.#isStarting) this.#afterBoot();
      const isStarting = this.#isStarting;
      this.#isStarting = false;
      if (isStarting && this.#job?.stage === 'Testing') this.#to('Testing');
      else {
        this.#say();
        if (isStarting) this.#next();
      }
      // The power may have gone meanwhile.
      return this.#isOnline;
    });
  }

  #take({ verdict, directive, floor }: Exclude<Judged, { verdict: 'dropped' }>): void {
    this.#floor = floor;
    if (verdict === 'known') return void this.#say();
    const stage = this.#job?.stage;
    if (stage === 'Rebooting' || stage === 'Testing') return void this.#say({ directive, stage: 'Rejected', pieces: 0, code: 14 });
    this.#job = { directive, stage: 'Accepted', pieces: 0 };
    if (verdict === 'expired') return void this.#to('Rejected', { code: 6 });
    this.#to(directive.action === 'Cancel' ? 'Idle' : 'Accepted');
  }

  /** What the state asks for after a while. */
  #next(): void {
    const { stage } = this.#job ?? {};
    this.#step += 1;
    const wait = (least: number, most: number, act: () => void): void => this.#then(between(this.#random, least, most), act);
    if (stage === 'Accepted') this.#begin();
    else if (stage === 'Deferred') wait(30 * SECOND, 10 * MINUTE, () => this.#to('Accepted'));
    else if (stage === 'Downloading') wait(2 * SECOND, 40 * SECOND, () => this.#bring());
    else if (stage === 'Verified') wait(SECOND, 3 * SECOND, () => this.#stage());
    else if (stage === 'Staged' && this.#job?.directive.action === 'Install') wait(SECOND, 3 * SECOND, () => this.#to('Rebooting'));
    else if (stage === 'Rebooting') wait(SECOND, 2 * SECOND, () => this.#reboot());
    else if (stage === 'Testing') wait(5 * SECOND, 60 * SECOND, () => this.#test());
  }

  #begin(): void {
    const { directive } = this.#job ?? {};
    if (directive === undefined) return;
    if (this.nature.defers === true && !this.#hasDeferred && !directive.forced) {
      this.#hasDeferred = true;
      return void this.#to('Deferred');
    }
    if (this.#failsAt('Accepted')) return;
    const brings = directive.action === 'Install' || directive.action === 'Stage';
    if (!brings && this.#other?.digest === directive.artifact?.digest) return void this.#to('Rebooting');
    if (!brings || directive.artifact?.digest === this.image.digest) return void this.#to('Rejected', { code: RUNS_ALREADY });
    this.#then(between(this.#random, 0, directive.jitter * SECOND), () => this.#to('Downloading'));
  }

  #bring(): void {
    const { pieces = 0 } = this.#job ?? {};
    if (pieces === 1 && this.#failsAt('Downloading')) return;
    this.#to(pieces < PIECES - 1 ? 'Downloading' : 'Verified', { pieces: pieces + 1 });
  }

  #stage(): void {
    const { artifact } = this.#job?.directive ?? {};
    if (artifact === undefined) return;
    const { digest, version, securityCounter } = artifact;
    this.#other = { digest, version, securityCounter };
    this.#to('Staged');
  }

  #reboot(): void {
    const { directive } = this.#job ?? {};
    if (directive === undefined || this.#other === undefined) return;
    this.#tries += 1;
    if (this.#unacknowledged !== undefined && this.#tries < TRIES) return void this.#then(6 * SECOND, () => this.#reboot());
    this.#trial = { image: this.#other, nonce: directive.nonce, tried: false };
    if (this.nature.away?.from === 'Rebooting') {
      this.#isGone = true;
      return void this.#off();
    }
    this.#restart();
  }

  #test(): void {
    const { selfTest } = this.nature;
    if (selfTest === undefined) return void this.#confirm();
    if (selfTest === 'loops') this.#boots += 5;
    this.#job = {
      ...(this.#job as Job),
      code: { fails: 10, hangs: 11, loops: 12 }[selfTest],
      ...(selfTest === 'fails' ? { selfTest: 4 } : {}),
    };
    const confirmMs = (this.#job.directive.timeouts.confirm ?? 0) * SECOND;
    this.#then(selfTest === 'hangs' ? confirmMs : SECOND, () => this.#restart());
  }

  #confirm(): void {
    if (this.#trial === undefined) return;
    [this.image, this.#other, this.#trial] = [this.#trial.image, this.image, undefined];
    this.#counter = Math.max(this.#counter, this.image.securityCounter);
    this.#mode = 'Normal';
    this.#to('Confirmed', { selfTest: 0 });
  }

  /** What came of the job while it was off. */
  #afterBoot(): void {
    const job = this.#job;
    if (job === undefined || (job.stage !== 'Rebooting' && job.stage !== 'Testing')) return;
    const runsIt = this.running.digest === job.directive.artifact?.digest;
    if (runsIt && this.#mode === 'Test') this.#job = { ...job, stage: 'Testing' };
    else if (runsIt) this.#job = { ...job, stage: 'Confirmed' };
    // Cut off before the bootloader was asked, it is asked again.
    else if (this.#mode === 'Reverted') this.#job = { ...job, stage: 'RolledBack', code: job.code ?? 11 };
  }

  #failsAt(at: 'Accepted' | 'Downloading'): boolean {
    const { fails } = this.nature;
    if (fails?.at !== at || this.#failures >= fails.times) return false;
    this.#failures += 1;
    this.#to(fails.state, { code: fails.code });
    return true;
  }

  #to(stage: DeviceState, change: Partial<Job> = {}): void {
    if (this.#job === undefined) return;
    const { code: _, ...rest } = this.#job;
    this.#job = { ...rest, ...change, stage };
    this.#tries = 0;
    if (stage === this.nature.cutAt && (!this.#hasBeenCut || stage === 'Testing')) {
      this.#hasBeenCut = true;
      const downMs = between(this.#random, 5 * SECOND, 3 * MINUTE);
      if (this.#random() < 0.5) return void this.#restart(downMs);
      // It has said so before.
      this.#say();
      this.#step += 1;
      return void this.#then(200, () => this.#restart(downMs));
    }
    this.#say();
    // Everything after its first false word is a lie.
    if (!this.#isLying) this.#next();
  }

  #restart(afterMs = between(this.#random, 5 * SECOND, 60 * SECOND)): void {
    this.#off();
    this.#later(afterMs, () => this.start());
  }

  #off(): void {
    this.#life += 1;
    this.#isOnline = false;
    this.#ground.disconnect(this);
  }

  #awayFor(): number | undefined {
    const [least, most] = this.nature.away?.hours ?? [];
    return least === undefined || most === undefined ? undefined : between(this.#random, least * 60 * MINUTE, most * 60 * MINUTE);
  }

  /** The next step of the job, unless another directive or another step comes before. */
  #then(ms: number, act: () => void): void {
    const step = this.#step;
    this.#later(ms, () => {
      if (step === this.#step) act();
    });
  }

  #later(ms: number, act: () => void): void {
    const life = this.#life;
    this.#ground.after(ms, () => {
      if (life === this.#life) act();
    });
  }

  #say(job = this.#job): void {
    if (this.#isLying) return;
    this.#n += 1;
    for (const payload of this.#payloads(this.#state(job))) this.#send(payload);
  }

  /** What goes out for what is true. */
  #payloads(said: Said): string[] {
    const text = JSON.stringify(said);
    const { plays } = this.nature;
    if (this.#lie !== undefined) {
      const lies = this.#lie(said, this.#past).map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
      this.#isLying = lies.length > 0;
      return this.#isLying ? lies : [text];
    }
    if (plays === 'erases') return [text, ''];
    if (plays === 'spams') return ['{}', text.slice(0, text.length >> 1), 'x'.repeat(5000), text];
    if (plays === 'resets') return [JSON.stringify({ ...said, boot: 1 })];
    if (plays !== 'replays') return [text];
    this.#past.unshift(text);
    return [text, ...this.#past.slice(0, 6)];
  }

  /** Again until it is acknowledged. */
  #send(payload: string, again = 5 * SECOND): void {
    this.#unacknowledged = payload;
    this.#ground.publish(this, 'state', payload);
    this.#later(again, () => {
      if (this.#unacknowledged === payload && this.#isOnline) this.#send(payload, Math.min(2 * again, 5 * MINUTE));
    });
  }

  #state(job: Job | undefined): Said {
    const head = { v: 1, device: this.name, component: 'app', seq: 0, boot: this.#boots, n: this.#n, state: 'Idle' as DeviceState };
    const body = { digest: this.running.digest, securityCounter: this.#counter };
    if (job === undefined) return { ...head, ...body };
    const { directive, stage, pieces, code, selfTest } = job;
    const size = directive.artifact?.size ?? 1;
    const isEnd = stage === 'Rejected' || stage === 'RolledBack' || stage === 'Failed';
    const hasRun = stage === 'Testing' || stage === 'Confirmed' || stage === 'RolledBack';
    const report = hasRun || (stage === 'Rejected' && code === RUNS_ALREADY) ? this.#bootReport() : undefined;
    return {
      ...{ ...head, ...body, seq: directive.seq, nonce: directive.nonce, state: stage },
      ...(isEnd ? { code: code ?? 16 } : {}),
      ...(hasRun && selfTest !== undefined ? { selfTest } : {}),
      ...(report === undefined ? {} : { bootReport: report }),
      ...(stage === 'Downloading' ? { offset: Math.floor((size * pieces) / PIECES), total: size } : {}),
      ...(stage === 'Deferred' ? { until: Math.floor(this.#ground.now() / SECOND) + 600 } : {}),
      ...(stage === 'Staged' || stage === 'Rebooting' ? { staged: directive.artifact?.digest } : {}),
    };
  }

  /** By the bootloader, at most once in each boot. */
  #bootReport(): Record<string, unknown> | undefined {
    if (this.#bootKey === undefined) return undefined;
    const nonce = this.#job?.directive.nonce;
    this.#report ??= seal(
      BOOT_TYPE,
      Buffer.from(
        JSON.stringify({
          ...{ v: 1, device: this.name, component: 'app', boot: this.#boots, slot: this.#boots % 2 === 0 ? 'B' : 'A', ...this.running },
          ...{ mode: this.#mode, ...(nonce === undefined ? {} : { nonce }) },
        }),
      ),
      this.#bootKey,
    );
    return this.#report;
  }

  #hello(): void {
    this.#saidHelloAt = this.#ground.now();
    this.#n += 1;
    const { clock } = this.nature;
    const { digest, version } = this.running;
    const report = this.#bootReport();
    const hello = {
      ...{ v: 1, device: this.name, boot: this.nature.plays === 'resets' ? 1 : this.#boots, n: this.#n, nonce: this.#nonce },
      ...{ hasClock: clock === undefined, rootVersion: 1, caps: ['http-range'] },
      components: [{ component: 'app', version, digest, slot: 'A', securityCounter: this.#counter, seq: this.#floor.seq }],
      ...(report === undefined ? {} : { bootReport: report }),
    };
    this.#ground.publish(this, 'hello', JSON.stringify(hello));
  }
}
