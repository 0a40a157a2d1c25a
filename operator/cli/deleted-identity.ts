// What the ledger remembers of a Device that was deleted. Pure.
import { deviceName } from '../api/names.ts';
import { inSeconds } from './device-row.ts';
import type { LedgerLine } from './ledger.ts';
import { facts } from './table.ts';

export type DeletedIdentity = {
  namespace: string;
  name: string;
  client: string;
  deleted: true;
  /** Its certificates; never empty. */
  ledger: readonly LedgerLine[];
};

/** Undefined when the ledger has never heard of it, or may not be read. */
export function deletedIdentity(
  { namespace = '', name }: { namespace?: string; name: string },
  ledger: readonly LedgerLine[] | undefined,
): DeletedIdentity | undefined {
  const client = deviceName(name, namespace);
  const own = ledger?.filter((line) => line.device === client) ?? [];
  return own.length === 0 ? undefined : { namespace, name, client, deleted: true, ledger: own };
}

export function deletedText({ namespace, name, client, ledger }: DeletedIdentity, now: number): string {
  return facts([
    ['device', `${namespace}/${name}, which does not exist any more`],
    ['client id', client],
    ...ledger.map((line) => ['certificate', certificateText(line, now)] as const),
    ['retired', retiredText(ledger, now)],
  ]);
}

function certificateText({ serial, segment, notAfter, revoked }: LedgerLine, now: number): string {
  const who = `serial ${serial ?? 'not known yet'}, for ${segment ?? 'no segment'}`;
  if (isOver(notAfter, now)) return `${who}: expired ${inSeconds(notAfter ?? '')}`;
  const end = notAfter === undefined ? '' : ` until ${inSeconds(notAfter)}`;
  if (revoked === undefined) return `${who}: not revoked yet, valid${end}`;
  return `${who}: revoked ${inSeconds(revoked.at ?? '')}, ${revoked.reason ?? ''} by ${revoked.by ?? ''}; banned at the broker${end}`;
}

function retiredText(ledger: readonly LedgerLine[], now: number): string {
  const open = ledger.filter(({ revoked, notAfter }) => revoked === undefined && !isOver(notAfter, now)).length;
  if (open === 0) return 'all that it had is revoked or over; the bans follow from the ledger, whatever the broker forgets';
  return `${open} of ${ledger.length} wait for the operator, which revokes them within a second of the deletion while it runs`;
}

const isOver = (notAfter: string | undefined, now: number): boolean => notAfter !== undefined && Date.parse(notAfter) <= now;
