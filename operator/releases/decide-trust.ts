// Whether the manifest says what was signed. Pure.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import type { ReleaseFacts } from '../firmware/firmware.ts';

/** What the manifest says otherwise than the statement, in words; undefined where they agree. People read the manifest, devices obey the statement: both have to be the same. */
export function differenceOf(spec: FirmwareReleaseSpec, statement: ReleaseFacts): string | undefined {
  const facts: [field: string, manifest: unknown, signed: unknown][] = [
    ['spec.component', spec.component, statement.component],
    ['spec.version', spec.version, statement.version],
    ['spec.securityCounter', spec.securityCounter, statement.securityCounter],
    ['spec.compatibility.minVersionFloor', spec.compatibility?.minVersionFloor, statement.minVersionFloor],
  ];
  return differing(facts) ?? ofArtifacts(spec.artifacts, statement.artifacts);
}

type Artifact = FirmwareReleaseSpec['artifacts'][number];

function ofArtifacts(manifest: readonly Artifact[], signed: ReleaseFacts['artifacts']): string | undefined {
  const known = new Map(signed.map((one) => [one.name, one]));
  for (const one of manifest) {
    const other = known.get(one.name);
    const at = `spec.artifacts[${one.name}]`;
    if (other === undefined) return `${at} is not in the statement`;
    const found = differing([
      [`${at}.digest`, one.digest, `sha256:${other.sha256}`],
      [`${at}.size`, one.size, other.size],
      [`${at}.format`, one.format, other.format],
      [`${at}.baseDigest`, one.baseDigest, other.baseDigest],
      [`${at}.hardware`, hardwareText(one.hardware), hardwareText(other.hardware)],
    ]);
    if (found !== undefined) return found;
    known.delete(one.name);
  }
  const [missing] = known.keys();
  return missing === undefined ? undefined : `artifact ${missing} of the statement is not in spec.artifacts`;
}

function differing(facts: readonly [field: string, manifest: unknown, signed: unknown][]): string | undefined {
  const found = facts.find(([, manifest, signed]) => manifest !== signed);
  if (found === undefined) return undefined;
  const [field, manifest, signed] = found;
  return `${field} is ${String(manifest ?? '(none)')}, and ${String(signed ?? '(none)')} was signed`;
}

/** Lists of hardware are sets, and one that is empty is none. */
function hardwareText(hardware: Artifact['hardware']): string {
  const list = (values: readonly string[] | undefined): string[] | undefined =>
    values === undefined || values.length === 0 ? undefined : [...values].sort();
  const { vendorId, classIds, models, revisions } = hardware ?? {};
  return JSON.stringify({ vendorId, classIds: list(classIds), models: list(models), revisions: list(revisions) });
}
