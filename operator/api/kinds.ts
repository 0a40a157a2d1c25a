// All kinds, in the order in which docs and files list them.
import { certificateLedgerKind } from './certificate-ledger.ts';
import { deviceKind } from './device.ts';
import { firmwareReleaseKind } from './firmware-release.ts';
import { firmwareWaveKind } from './firmware-wave.ts';
import { interventionKind } from './intervention.ts';
import type { KindDefinition } from './kind.ts';
import { segmentPolicyKind } from './segment-policy.ts';

export const KINDS: readonly KindDefinition[] = [
  deviceKind,
  segmentPolicyKind,
  firmwareReleaseKind,
  interventionKind,
  certificateLedgerKind,
  firmwareWaveKind,
];
