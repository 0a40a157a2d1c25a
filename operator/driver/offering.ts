// Whom the driver tells to begin now.
import { offersNow, windowAt } from '../firmware/firmware.ts';
import { openFor } from './directives.ts';
import { fresh, open } from './endings.ts';
import type { Groups } from './groups.ts';
import { imageBack } from './hearing.ts';
import type { Row } from './row.ts';
import { shareOf } from './shares.ts';
import type { State } from './state.ts';

/** When to ask again though nothing else happens; undefined: only when something does. */
export function offer(state: State, groups: Groups, now: number): number | undefined {
  const { plan, sets, queue, pace } = state;
  const { policy, wave } = plan;
  const share = shareOf(wave, plan.drivers, plan.shard, now);
  if (state.isGathering || wave.action === 'Stop' || wave.suspend || now >= Date.parse(wave.grantExpires)) return undefined;
  const [download, install] = [windowAt(policy.download, now), windowAt(policy.install, now)];
  const may = wave.action === 'Revert' ? { staged: false, fresh: install.open } : { staged: install.open, fresh: download.open };
  const windowNext = earliest(
    [download, install].flatMap(({ open: isOpen, until }) => (isOpen || until === undefined || sets.waiting.size === 0 ? [] : [until])),
  );
  if (queue.isEmpty(may)) return windowNext;
  const left = share.perMinute - pace.spent(now);
  const room = Math.min(left, share.maxInFlight - sets.busy.size);
  if (share.perMinute === 0) return earliest([nextMinute(now), ...(windowNext === undefined ? [] : [windowNext])]);
  if (room <= 0) return left <= 0 ? earliest([pace.freeAt(now), ...(windowNext === undefined ? [] : [windowNext])]) : windowNext;
  const standing = `${sets.changes()} ${may.staged} ${may.fresh}`;
  if (state.heldAt === standing) return windowNext;
  const ready = queue.take(groups.budgets.length > 0 ? sets.waiting.size : room, now, may);
  const byUid = new Map(ready.map((row) => [row.uid, row]));
  const { offer: chosen, held } = offersNow({
    now,
    rows: [...groups.down(state.sets), ...ready.map((row) => groups.row(row, 'Waiting'))],
    ...{
      offeredAt: [],
      confirmed: 0,
      pace: { perMinute: left, maxInFlight: share.maxInFlight },
      budgets: groups.budgets,
      busy: sets.busy.size,
    },
  });
  for (const { uid } of chosen) {
    const row = byUid.get(uid);
    if (row !== undefined) begin(state, row, now);
    byUid.delete(uid);
  }
  for (const row of byUid.values()) queue.add(row);
  pace.add(now, chosen.length);
  state.heldAt = held === 'Disruption' && chosen.length === 0 ? standing : undefined;
  const next = held === 'Pace' || (chosen.length === left && !queue.isEmpty(may)) ? pace.freeAt(now) : undefined;
  return earliest([next, windowNext].filter((at) => at !== undefined));
}

function begin(state: State, row: Row, now: number): void {
  const { wave, policy } = state.plan;
  const image = wave.action === 'Revert' ? imageBack(row) : row.image;
  if (image === undefined) {
    // Nothing of what was signed is for its hardware.
    row.place = 'Out';
    state.sets.place(row);
    return;
  }
  row.attempt = row.nextAttempt;
  if (row.since === 0) row.since = now;
  const brings = policy.install === undefined ? 'Install' : 'Stage';
  const action = wave.action === 'Revert' ? 'Revert' : row.isStaged ? 'Activate' : brings;
  open(state, row, openFor(state.plan, row, { action, image, ...fresh(state, row, now) }), now);
}

/** Its turn may come then. */
const nextMinute = (now: number): number => (Math.floor(now / 60_000) + 1) * 60_000;

const earliest = (times: readonly number[]): number | undefined => (times.length === 0 ? undefined : Math.min(...times));
