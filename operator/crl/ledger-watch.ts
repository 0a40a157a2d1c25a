// The pages of the ledger as they come in: what is revoked, which issuers there are certificates of, and whether a page does not read.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { CERTIFICATE_LEDGERS } from '../api/resources.ts';
import { type PageRevocations, revocationsOf } from '../identity/identity.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Revocations } from './revocations.ts';

type PageFacts = Projected & { page: PageRevocations };
type Shared = Pick<ReflectorOptions<KubeObject, Projected>, 'client' | 'clock' | 'random' | 'log' | 'metrics'>;

export type LedgerWatchDeps = Shared & {
  namespace: string;
  revocations: Revocations;
  /** There are certificates of this issuer that have not expired. */
  issuer(issuer: string): void;
  /** Their lists become other ones. */
  changed(issuers: ReadonlySet<string>): void;
  /** The text of a page that does not read, or undefined when all do. */
  problem(text: string | undefined): void;
};

export function createLedgerWatch(deps: LedgerWatchDeps): Reflector<PageFacts> {
  const { revocations, clock, log } = deps;
  const broken = new Map<string, string>();
  return createReflector<CertificateLedger, PageFacts>({
    client: deps.client,
    clock,
    random: deps.random,
    log,
    metrics: deps.metrics,
    type: CERTIFICATE_LEDGERS,
    namespace: deps.namespace,
    project: (object) => ({
      key: keyOf(object),
      uid: object.metadata.uid ?? '',
      resourceVersion: object.metadata.resourceVersion ?? '',
      page: revocationsOf(object),
    }),
    onChange({ key, after }) {
      const before = [...broken.values()][0];
      if (after?.page.problem === undefined) broken.delete(key);
      else broken.set(key, after.page.problem);
      const now = [...broken.values()][0];
      if (now !== before) {
        if (now !== undefined) log.error({}, now);
        deps.problem(now);
      }
      if (after === undefined) return;
      for (const [issuer, lastMs] of after.page.issuers) if (lastMs > clock.now()) deps.issuer(issuer);
      const changed = revocations.take(after.page.revoked, clock.now());
      if (changed.size > 0) deps.changed(changed);
    },
  });
}
