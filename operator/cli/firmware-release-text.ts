// A release for a person to read before they sign it or rely on it. Pure.
import type { ReleaseFacts } from '../firmware/firmware.ts';
import { facts, growingTable } from './table.ts';

export function releaseText(release: ReleaseFacts, more: readonly (readonly [string, string | undefined])[]): string {
  const head = facts([
    ['firmware', `${release.component} ${release.version}`],
    ['counter', String(release.securityCounter)],
    ['floor', release.minVersionFloor],
    ...more,
  ]);
  const rows = release.artifacts.map(({ name, format, size, hardware, baseDigest, sha256 }) => [
    name,
    format,
    String(size),
    [...(hardware?.models ?? []), ...(hardware?.revisions ?? []), hardware?.vendorId ?? [], ...(hardware?.classIds ?? [])]
      .flat()
      .join(' ') || 'all',
    baseDigest === undefined ? '' : baseDigest.slice(0, 23),
    sha256,
  ]);
  return `${head}\n${growingTable(['ARTIFACT', 'FORMAT', 'BYTES', 'HARDWARE', 'DELTA TO', 'SHA-256'])(rows)}`;
}
