// The CAs that the TLS listener of an EMQX of ours trusts. Written over REST, because a mounted file is read again only after two minutes and nothing tells when
// (emqx.md, rotation of mounted files); read back as the name of the file that EMQX made for exactly this text.
import type { Log } from '../runtime/log.ts';
import type { DesiredBroker } from './broker.ts';
import type { BrokerMetrics } from './broker-metrics.ts';
import type { Emqx } from './emqx.ts';
import { explain } from './errors.ts';
import { type Knowledge, mayWrite, modeOf } from './knowledge.ts';
import { BrokerError } from './rest.ts';

export type TrustDeps = { emqx: Emqx; knowledge: Knowledge; log: Log; metrics: BrokerMetrics };

/** In an EMQX that others use too the listener is theirs; before the first contact nobody knows. */
export function trustsCa(knowledge: Knowledge, ca: string): boolean {
  if (knowledge.text === undefined) return false;
  return !isOurs(knowledge) || knowledge.trust?.cas.has(ca) === true;
}

export function createTrust({ emqx, knowledge, log, metrics }: TrustDeps) {
  let said: string | undefined;

  /** Whether what was written is still there: a broker that lost its memory begins with the file that it was given at first. */
  async function look(): Promise<void> {
    if (knowledge.trust !== undefined && (await emqx.caFile()) !== knowledge.trust.file) forget();
  }

  async function enforce(wanted: DesiredBroker['trust']): Promise<void> {
    if (wanted === undefined || !isOurs(knowledge)) {
      forget();
      if (wanted !== undefined)
        say(`the EMQX is not ours alone: whoever looks after it has to trust the CAs in ConfigMap hedgerow-ca-bundle`);
      return;
    }
    if (knowledge.trust?.pem === wanted.pem) return;
    const put = await putOrRefusal(wanted.pem);
    if (!put.ok) {
      say(explain('HR-BRK-022', `EMQX does not take the CA certificates of the devices: ${put.why}`));
      // What it held before it still holds.
      return;
    }
    said = undefined;
    knowledge.trust = { cas: new Set(wanted.cas), pem: wanted.pem, file: put.file };
    metrics.repaired('cas-written');
    metrics.cas(wanted.cas.length);
    log.info({ cas: wanted.cas.length }, 'the broker trusts these CAs of devices');
  }

  /** A key without the scope for it must not keep everything else from being true. */
  async function putOrRefusal(pem: string): ReturnType<Emqx['putCas']> {
    try {
      return await emqx.putCas(pem);
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'HR-BRK-003') return { ok: false, why: error.message };
      throw error;
    }
  }

  function forget(): void {
    knowledge.trust = undefined;
    metrics.cas(0);
  }

  function say(found: string): void {
    if (found !== said) log.warn({ found }, 'the CAs of devices are not in force at the broker');
    said = found;
  }

  return { look, enforce };
}

const isOurs = (knowledge: Knowledge): boolean => mayWrite(knowledge) && modeOf(knowledge) === 'owned';
