// What the flags of `firmware root init` and `change` ask of the next root.
import type { Role, Root, Wishes } from '../firmware/firmware.ts';
import type { Clock } from '../runtime/clock.ts';
import { publicKeyIn } from './firmware-files.ts';
import { TEXT, TEXTS, text, texts } from './flags.ts';
import { type Values, WrongUse } from './parse.ts';

const INIT = { 'root-key': TEXTS, 'root-threshold': TEXT, 'release-key': TEXTS, 'release-threshold': TEXT, expires: TEXT } as const;
export const WISH_FLAGS = { init: INIT, change: { ...INIT, 'remove-root-key': TEXTS, 'remove-release-key': TEXTS } } as const;

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 365;

export async function readWishes(values: Values, before: Root | undefined, clock: Pick<Clock, 'now'>): Promise<Wishes> {
  return {
    root: await wish(values, 'root', before?.root),
    targets: await wish(values, 'release', before?.targets),
    expiresAt: expiry(text(values, 'expires'), clock.now()),
  };
}

async function wish(values: Values, name: 'root' | 'release', role: Role | undefined): Promise<Wishes['root']> {
  const files = texts(values, `${name}-key`);
  if (role === undefined && files.length === 0) throw new WrongUse(`--${name}-key is required`);
  const add = await Promise.all(files.map(publicKeyIn));
  const remove = texts(values, `remove-${name}-key`).map((start) => fullId(start, role));
  return { add, remove, threshold: threshold(values, `${name}-threshold`) };
}

function fullId(start: string, role: Role | undefined): string {
  const ids = (role?.keys ?? []).map(({ keyid }) => keyid).filter((id) => id.startsWith(start));
  if (start.length < 8 || ids.length !== 1)
    throw new WrongUse(`"${start}" is not the beginning, of 8 characters at least, of one key id of that role`);
  return ids[0] ?? '';
}

function threshold(values: Values, name: string): number | undefined {
  const typed = text(values, name);
  if (typed === undefined) return undefined;
  if (!/^[1-9]\d?$/.test(typed)) throw new WrongUse(`--${name} ${typed} is no number from 1 to 99`);
  return Number(typed);
}

/** The end of a day, so that the same command gives the same root all day long. */
function expiry(date: string | undefined, now: number): number {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  if (date === undefined) return today + DEFAULT_DAYS * DAY_MS;
  const at = /^\d{4}-\d\d-\d\d$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(at) || !new Date(at).toISOString().startsWith(date))
    throw new WrongUse(`--expires ${date} is no date such as 2027-11-26`);
  if (at <= now) throw new WrongUse(`--expires ${date} is over already`);
  return at;
}
