// What of a release is worth an Event: each change of its phase, and what stalls it. Pure.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import { findCondition } from '../runtime/conditions.ts';
import type { EventNote } from '../runtime/events.ts';

/** The reason of an Event equals that of a condition. */
export function newsOf(before: FirmwareReleaseStatus | undefined, after: FirmwareReleaseStatus): EventNote[] {
  const news: EventNote[] = [];
  const stalled = findCondition(after.conditions, 'Stalled');
  if (stalled !== undefined && stalled.reason !== findCondition(before?.conditions, 'Stalled')?.reason)
    news.push({ type: 'Warning', reason: stalled.reason, message: stalled.message, action: 'Rollout' });
  const { phase, currentWave = '' } = after;
  const isNew = phase !== before?.phase || currentWave !== (before?.currentWave ?? '');
  if (isNew && phase !== undefined && phase !== 'Verifying' && stalled?.reason !== phase) {
    const said = findCondition(after.conditions, 'Progressing')?.message ?? '';
    const wave = currentWave === '' ? '' : `wave ${currentWave}: `;
    news.push({ type: SAD.includes(phase) ? 'Warning' : 'Normal', reason: phase, message: `${wave}${said}`, action: 'Rollout' });
  }
  return news;
}

const SAD: readonly string[] = ['Aborting', 'RollingBack', 'RolledBack', 'Failed'];
