// What a message of a device is worth: which state counts for the directive that is open, and that `Confirmed` is never counted against the evidence. Pure.
import type { KeyObject } from 'node:crypto';
import { bootReportProblem } from './boot-report.ts';
import type { FirmwareCode, Problem } from './errors.ts';
import type { Directive, Hello, StateReport } from './messages.ts';
import { type Action, type DeviceState, ENDS, WAY } from './protocol.ts';

/** A directive as far as answers to it have to be judged. */
export type OpenDirective = {
  device: string;
  component: string;
  seq: number;
  nonce: string;
  action: Action;
  /** What runs when it has succeeded; none for Cancel. */
  image: { digest: string; securityCounter: number } | undefined;
  /** The boot counter of the hello for which it was made. */
  bootAtOpen: number;
};

export type Standing = {
  state: DeviceState | 'Offered';
  /** Of the last message that counted. */
  boot: number;
  n: number;
  /** The highest boot counter under which the image of the directive cannot have run. */
  baseBoot: number;
  /** Of a rejection, rollback or failure; none where a hello showed the rollback. */
  code?: number;
  /** Of Confirmed: by a boot report, or by nothing but the word of the image. */
  proof?: 'Proven' | 'Unproven';
};

export type Verdict = { result: 'Taken' } | { result: 'Known' } | { result: 'Refused'; problem: Problem };
export type Heard = { standing: Standing; verdict: Verdict };

export const openOf = ({ aud, component, seq, nonce, action, artifact }: Directive, bootAtOpen: number): OpenDirective => ({
  ...{ device: aud, component, seq, nonce, action, bootAtOpen },
  image: artifact === undefined ? undefined : { digest: artifact.digest, securityCounter: artifact.securityCounter },
});

/** Before anything was heard. It is all that a driver has to know: whatever else it remembers can be lost, and the device says it again. */
export const standingOf = ({ bootAtOpen }: OpenDirective): Standing => ({ state: 'Offered', boot: bootAtOpen, n: 0, baseBoot: bootAtOpen });

export const hasEnded = ({ action }: OpenDirective, { state }: Standing): boolean => state !== 'Offered' && ENDS[action].includes(state);

/**
 * `report` came on the topic of its device (readState). `bootKey`: the registered one; without it a success is `Unproven`, for an image that lies consistently looks
 * like one that tells the truth.
 */
export function hearState(open: OpenDirective, before: Standing, report: StateReport, bootKey: KeyObject | undefined): Heard {
  if (report.device !== open.device) return refused(before, 'HR-FW-103');
  if (report.component !== open.component || report.seq !== open.seq || report.nonce !== open.nonce) return refused(before, 'HR-FW-104');
  const age = ageOf(before, report);
  if (age !== 'Newer') return stale(before, age);
  const now = { ...before, boot: report.boot, n: report.n };
  if (isNotYet(before, report)) return taken({ ...now, state: 'Rebooting', baseBoot: baseOf(open, before, report) });
  if (before.state === 'Confirmed' && report.digest !== open.image?.digest) return taken(rolledBack(now, report.code));
  if (hasEnded(open, before)) return report.state === before.state ? taken(withCode(now, report.code)) : refused(before, 'HR-FW-106');
  if (!WAY[open.action].includes(report.state) || goesBack(before.state, report.state)) return refused(before, 'HR-FW-113');
  if (report.state === 'Confirmed') return confirmed(open, before, report, bootKey);
  const { code } = report;
  return taken({ ...now, state: report.state, baseBoot: baseOf(open, before, report), ...(code === undefined ? {} : { code }) });
}

/**
 * The hello of a device that had said Rebooting showed the old image, which looks like a rollback. Where the state after it, in the same boot, says Rebooting again, the power
 * went before the bootloader was told: it is still to come.
 */
const isNotYet = ({ state, code, boot }: Standing, report: StateReport): boolean =>
  state === 'RolledBack' && code === undefined && report.state === 'Rebooting' && report.boot === boot;

/** A hello can end a directive in a rollback, also after its success, and never in a success. */
export function hearHello(open: OpenDirective, before: Standing, hello: Hello): Heard {
  if (hello.device !== open.device) return refused(before, 'HR-FW-103');
  const age = ageOf(before, hello);
  if (age !== 'Newer') return stale(before, age);
  const running = hello.components.find(({ component }) => component === open.component)?.digest;
  const now = { ...before, boot: hello.boot, n: hello.n };
  if (running === undefined || open.image === undefined || running === open.image.digest) return taken(now);
  const hasSwitched = before.state === 'Confirmed' || before.state === 'Testing' || before.state === 'Rebooting';
  // In the boot that reported Rebooting the old image is what has to run.
  if (hasSwitched && hello.boot > before.baseBoot) return taken(rolledBack(now));
  return taken({ ...now, baseBoot: Math.max(before.baseBoot, hello.boot) });
}

function confirmed(open: OpenDirective, before: Standing, report: StateReport, bootKey: KeyObject | undefined): Heard {
  const problem = againstConfirmed(open, before, report, bootKey);
  // What it showed of the image that runs counts, even where its word does not.
  if (problem !== undefined) {
    const { boot, n } = report;
    return { standing: { ...before, boot, n, baseBoot: baseOf(open, before, report) }, verdict: { result: 'Refused', problem } };
  }
  const { code: _, ...rest } = before;
  return taken({ ...rest, boot: report.boot, n: report.n, state: 'Confirmed', proof: bootKey === undefined ? 'Unproven' : 'Proven' });
}

function againstConfirmed(
  { device, component, nonce, image }: OpenDirective,
  { baseBoot }: Standing,
  report: StateReport,
  bootKey: KeyObject | undefined,
): Problem | undefined {
  if (image === undefined || report.digest !== image.digest) return { code: 'HR-FW-107' };
  if (report.boot <= baseBoot)
    return { code: 'HR-FW-108', found: `boot ${report.boot} is not above ${baseBoot}, in which another image ran` };
  if (report.securityCounter < image.securityCounter)
    return { code: 'HR-FW-109', found: `the counter is ${report.securityCounter}, the release has ${image.securityCounter}` };
  if (bootKey === undefined) return undefined;
  if (report.bootReport === undefined) return { code: 'HR-FW-110' };
  return bootReportProblem(report.bootReport, bootKey, { device, component, nonce, boot: report.boot, ...image });
}

/** Where the new image cannot have run: in a boot that another image was seen in, and in one that had not switched yet. */
function baseOf({ image }: OpenDirective, { baseBoot }: Standing, { state, digest, boot }: StateReport): number {
  const ranAnother = digest !== image?.digest;
  return ranAnother || (RANK[state] ?? 0) <= REBOOTING ? Math.max(baseBoot, boot) : baseBoot;
}

const REBOOTING = 1;
const RANK: Partial<Record<DeviceState | 'Offered', number>> = {
  Rebooting: REBOOTING,
  Testing: 2,
  Confirmed: 3,
  RolledBack: 3,
  Failed: 3,
  Rejected: 3,
};

/** Once it has rebooted into the image, a device does not download it again for the same directive. */
const goesBack = (from: DeviceState | 'Offered', to: DeviceState): boolean => (RANK[to] ?? 0) < (RANK[from] ?? 0);

type Age = 'Newer' | 'Same' | 'Older';

function ageOf(before: Standing, { boot, n }: { boot: number; n: number }): Age {
  if (boot !== before.boot) return boot > before.boot ? 'Newer' : 'Older';
  if (n !== before.n) return n > before.n ? 'Newer' : 'Older';
  return 'Same';
}

function rolledBack({ proof: _, code: __, ...now }: Standing, code?: number): Standing {
  return { ...now, state: 'RolledBack', ...(code === undefined ? {} : { code }) };
}

/** A rollback that a hello has shown gets its reason by the state after it; a reason that is known stays. */
const withCode = (now: Standing, code: number | undefined): Standing => ({ ...(code === undefined ? {} : { code }), ...now });

const taken = (standing: Standing): Heard => ({ standing, verdict: { result: 'Taken' } });
const refused = (standing: Standing, code: FirmwareCode): Heard => ({ standing, verdict: { result: 'Refused', problem: { code } } });
/** QoS 1 and a retained message bring the same message twice: no reason to suspect anybody. */
const stale = (standing: Standing, age: Age): Heard =>
  age === 'Same' ? { standing, verdict: { result: 'Known' } } : refused(standing, 'HR-FW-105');
