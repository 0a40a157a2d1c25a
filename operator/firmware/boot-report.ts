// The boot report: what a bootloader says under its own key about the image that it has started. The image can pass it on and cannot make one.
import type { KeyObject } from 'node:crypto';
import { envelopeOf, isSignedBy } from './dsse.ts';
import type { Problem } from './errors.ts';
import { readBounded } from './json.ts';
import { type BootReport, isBootReport, type StateReport } from './messages.ts';
import { BOOT_TYPE } from './protocol.ts';

export type Expected = {
  device: string;
  component: string;
  boot: number;
  digest: string;
  securityCounter: number;
  /** Of the directive: nobody knew it before, so the boot came after. */
  nonce: string;
};

const MOST_PAYLOAD = 1024;

/** Undefined when the report proves what is expected. The signature is looked at before anything else of it. */
export function bootReportProblem(
  envelope: NonNullable<StateReport['bootReport']>,
  key: KeyObject,
  expected: Expected,
): Problem | undefined {
  const read = envelopeOf(envelope);
  const [signature] = read?.signatures ?? [];
  const isGenuine = read?.payloadType === BOOT_TYPE && signature !== undefined && isSignedBy(read, signature, key);
  if (!isGenuine) return { code: 'HR-FW-111' };
  const report = readBounded(read.payload, MOST_PAYLOAD);
  if (!isBootReport(report)) return { code: 'HR-FW-112', found: 'the signed boot report is not in the form of the protocol' };
  const differs = contradiction(report, expected);
  return differs === undefined ? undefined : { code: 'HR-FW-112', found: `the signed boot report has another ${differs}` };
}

/**
 * Whether the bootloader says that it has started the image in this boot, in one of `modes`. Without a nonce it does not say since when: good for a device that runs the
 * image already and of whose start nobody remembers anything.
 */
export function provesRunning(
  envelope: NonNullable<StateReport['bootReport']>,
  key: KeyObject,
  expected: Omit<Expected, 'nonce'>,
  modes: readonly BootReport['mode'][],
): boolean {
  const read = envelopeOf(envelope);
  const [signature] = read?.signatures ?? [];
  if (read?.payloadType !== BOOT_TYPE || signature === undefined || !isSignedBy(read, signature, key)) return false;
  const report = readBounded(read.payload, MOST_PAYLOAD);
  if (!isBootReport(report) || !modes.includes(report.mode)) return false;
  return contradiction(report, { ...expected, nonce: report.nonce ?? '' }) === undefined;
}

function contradiction(report: BootReport, expected: Expected): string | undefined {
  if (report.device !== expected.device) return 'device';
  if (report.component !== expected.component) return 'component';
  if (report.boot !== expected.boot) return 'boot counter';
  if ((report.nonce ?? '') !== expected.nonce) return 'nonce';
  if (report.digest !== expected.digest) return 'digest';
  if (report.securityCounter < expected.securityCounter) return 'security counter, below that of the release';
  return report.mode === 'Reverted' ? 'mode: the bootloader went back' : undefined;
}
