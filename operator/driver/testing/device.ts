// Devices by the protocol page, as little of them as a driver can notice. The whole device is test/simulator/firmware.
import type { DeviceState, Directive, StateReport } from '../../firmware/firmware.ts';
import { NEW, OLD } from './plan.ts';

export type Nature = {
  /** What it does with an Install, Stage or Activate; default: it confirms. */
  end?: 'Confirmed' | 'RolledBack' | 'Failed' | 'Rejected' | 'Silent' | 'Vanishes';
  code?: number;
  /** How often it ends so, before it confirms; default: always. */
  times?: number;
  /** Never there. */
  isAway?: boolean;
  /** Says that it confirmed, and runs the old image. */
  lies?: boolean;
};
type Job = { directive: Directive; state: DeviceState; code?: number };
type Image = typeof OLD;

export class TestDevice {
  readonly name: string;
  readonly nature: Nature;
  readonly send: (kind: 'state' | 'hello', payload: string) => void;
  runs: Image = OLD;
  other: Image | undefined;
  isAway: boolean;
  #boot = 3;
  #n = 0;
  #floor = { fence: 0, seq: 0, nonce: '' };
  #job: Job | undefined;
  #ends = 0;
  #isSilent = false;
  #counter = OLD.securityCounter;

  constructor(name: string, nature: Nature, send: TestDevice['send']) {
    this.name = name;
    this.nature = nature;
    this.send = send;
    this.isAway = nature.isAway === true;
  }

  receive(directive: Directive): void {
    if (this.isAway || this.#isSilent) return;
    if (directive.fence < this.#floor.fence) return;
    const isSame = directive.seq === this.#floor.seq && directive.nonce === this.#floor.nonce;
    if (!isSame && directive.seq <= this.#floor.seq) return;
    this.#floor = { fence: directive.fence, seq: directive.seq, nonce: directive.nonce };
    if (isSame) return void this.#say();
    if (this.#job?.state === 'Rebooting' || this.#job?.state === 'Testing')
      return void this.#say({ directive, state: 'Rejected', code: 14 });
    this.#job = { directive, state: directive.action === 'Cancel' ? 'Idle' : 'Accepted' };
    if (directive.action === 'Cancel') this.other = undefined;
    this.#say();
  }

  /** One step further; false when it waits for somebody. */
  step(): boolean {
    const job = this.#job;
    if (job === undefined || this.isAway || this.#isSilent) return false;
    const next = this.#next(job);
    if (next === undefined) return false;
    if (next.state === 'Silent') {
      this.#isSilent = true;
      return false;
    }
    this.#job = { directive: job.directive, state: next.state, ...(next.code === undefined ? {} : { code: next.code }) };
    this.#say();
    return true;
  }

  /** Connects anew. */
  hello(): void {
    if (this.isAway || this.#isSilent) return;
    this.#n += 1;
    const { version, digest } = this.#seen();
    const components = [{ component: 'app', version, digest, slot: 'A', securityCounter: this.#counter, seq: this.#floor.seq }];
    const nonce = String(this.#boot)
      .padStart(32, 'b')
      .replaceAll(/[^0-9a-f]/g, '0');
    const hello = { v: 1, device: this.name, boot: this.#boot, n: this.#n, nonce, hasClock: true, rootVersion: 1, caps: [], components };
    this.send('hello', JSON.stringify(hello));
  }

  #next({ directive, state }: Job): { state: DeviceState | 'Silent'; code?: number } | undefined {
    const { action, artifact } = directive;
    const { end = 'Confirmed', code = 8, times = Number.POSITIVE_INFINITY } = this.nature;
    const isBad = end !== 'Confirmed' && this.#ends < times;
    const brings = action === 'Install' || action === 'Stage';
    if (state === 'Accepted') {
      if (brings && artifact?.digest === this.runs.digest) return { state: 'Rejected', code: 5 };
      if (isBad && end === 'Rejected' && brings) return this.#bad('Rejected', code);
      if (!brings) return this.other?.digest === artifact?.digest ? { state: 'Rebooting' } : { state: 'Rejected', code: 5 };
      return { state: 'Downloading' };
    }
    if (state === 'Downloading') {
      if (isBad && end === 'Vanishes') return { state: 'Silent' };
      return isBad && end === 'Failed' ? this.#bad('Failed', code) : { state: 'Verified' };
    }
    if (state === 'Verified') {
      this.other = NEW;
      return { state: 'Staged' };
    }
    if (state === 'Staged') return action === 'Install' ? { state: 'Rebooting' } : undefined;
    if (state === 'Rebooting') {
      if (isBad && end === 'Silent') return { state: 'Silent' };
      this.#boot += 1;
      this.#n = 0;
      if (this.nature.lies !== true) [this.runs, this.other] = [this.other ?? this.runs, this.runs];
      this.hello();
      return { state: 'Testing' };
    }
    if (state !== 'Testing') return undefined;
    if (isBad && end === 'RolledBack') {
      [this.runs, this.other] = [this.other ?? this.runs, this.runs];
      this.#boot += 1;
      this.#n = 0;
      this.hello();
      return this.#bad('RolledBack', code);
    }
    this.#counter = Math.max(this.#counter, this.#seen().securityCounter);
    return { state: 'Confirmed' };
  }

  #bad(state: DeviceState, code: number): { state: DeviceState; code: number } {
    this.#ends += 1;
    return { state, code };
  }

  #seen = (): Image =>
    this.nature.lies === true && (this.#job?.state === 'Testing' || this.#job?.state === 'Confirmed') ? NEW : this.runs;

  #say(job = this.#job): void {
    this.#n += 1;
    const { digest } = this.#seen();
    const head = {
      v: 1 as const,
      device: this.name,
      component: 'app',
      boot: this.#boot,
      n: this.#n,
      digest,
      securityCounter: this.#counter,
    };
    if (job === undefined) return void this.send('state', JSON.stringify({ ...head, seq: 0, state: 'Idle' }));
    const { directive, state, code } = job;
    const report: StateReport = {
      ...{ ...head, seq: directive.seq, nonce: directive.nonce, state },
      ...(code === undefined || !['Rejected', 'RolledBack', 'Failed'].includes(state) ? {} : { code }),
      ...(state === 'Downloading' ? { offset: 0, total: 1 } : {}),
    };
    this.send('state', JSON.stringify(report));
  }
}
