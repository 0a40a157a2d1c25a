// When a new process may take the place of an old one, which still has its lists in memory.
import type { Authorities } from './authorities.ts';
import type { CrlCode } from './errors.ts';
import type { Publisher } from './publisher.ts';
import type { Report } from './report.ts';

/** What passes by itself, or would cost the lists of the old process: the new one waits. Anything else is for a person, and keeps nobody else from his list. */
const PASSING: readonly CrlCode[] = ['HR-CRL-005', 'HR-CRL-020'];

/** The check of /readyz. Once it holds it holds for good: a process with lists must not lose its place because of an issuer without one. */
export function startingUp(
  authorities: Pick<Authorities, 'settled' | 'known'>,
  publisher: Pick<Publisher, 'list'>,
  report: Pick<Report, 'problem'>,
): () => string | undefined {
  let ready = false;
  return () => {
    if (ready) return undefined;
    if (!authorities.settled) return 'the CAs are being read';
    const missing = [...authorities.known()].filter((issuer) => publisher.list(issuer) === undefined);
    const code = missing.map((issuer) => report.problem(issuer)?.code).find((one) => one !== undefined && PASSING.includes(one));
    if (code !== undefined) return `an issuer has no list yet: ${code}`;
    ready = true;
    return undefined;
  };
}
