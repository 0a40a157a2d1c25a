// Where one Device stands at the broker. Pure over what is known.
import type { Authorization } from './broker.ts';
import { type BrokerCode, explain, reasonOf } from './errors.ts';
import type { Knowledge } from './knowledge.ts';
import { describe } from './posture.ts';
import { isOurs, sameRecord, type WantedRecord } from './record.ts';

export type VerdictInput = {
  client: string;
  segment: string;
  knowledge: Knowledge;
  wanted: WantedRecord | undefined;
  /** A wake about this client was not acted on yet. */
  awaited: boolean;
  /** Why nothing is known, for as long as it lasts. */
  unreachable: BrokerCode | undefined;
};

/** The first that holds, from what concerns everybody to what concerns this client. */
export function verdict(input: VerdictInput): Authorization {
  const { knowledge, segment } = input;
  // Without what was found: every change of a word would be written to every Device (promise 10). The log has it.
  if (input.unreachable !== undefined) return { state: 'unreachable', reason: reasonOf('HR-BRK-001'), message: explain(input.unreachable) };
  if (knowledge.text?.kind.kind === 'foreign') return of('foreign', 'HR-BRK-006');
  if (!knowledge.complete) return pending('the broker is being compared for the first time since the operator started');
  if (knowledge.findings.length > 0) return { state: 'unsafe', reason: 'BrokerUnsafe', message: describe(knowledge.findings) };
  return ofClient(input) ?? ofSegment(knowledge, segment);
}

function ofClient({ client, knowledge, wanted, awaited }: VerdictInput): Authorization | undefined {
  const held = knowledge.records.get(client);
  if (awaited) return pending('a change of this device is on its way to the broker');
  if (wanted !== undefined) {
    if (!sameRecord(held, wanted.rules)) return pending('the rules of this client are on their way to the broker');
    if (wanted.leftOut > 0) return of('excluded', 'HR-BRK-034', `${wanted.leftOut} rules of its new segment are left out`);
    return ok(
      wanted.kind === 'quarantine'
        ? 'the broker allows only ota/ and recovery/'
        : 'rules of its own hold until its certificate names the new segment',
    );
  }
  if (held === undefined) return undefined;
  if (isOurs(client, held)) return pending('the rules of its own are being taken back at the broker');
  return held.some((rule) => rule.permission !== 'deny') ? of('unsafe', 'HR-BRK-007') : undefined;
}

function ofSegment(knowledge: Knowledge, segment: string): Authorization {
  const why = knowledge.excluded.get(segment);
  if (why !== undefined) return of('excluded', why.code, why.found);
  if (knowledge.segments.has(segment)) return ok('the rights of its segment were read back from the broker');
  if (knowledge.textProblem !== undefined) return of('excluded', 'HR-BRK-033', knowledge.textProblem);
  return pending('the broker holds no rights of its segment yet');
}

const ok = (message: string): Authorization => ({ state: 'ok', reason: 'Authorized', message });
const pending = (message: string): Authorization => ({ state: 'pending', reason: 'BrokerPending', message });
const of = (state: Authorization['state'], code: BrokerCode, found?: string): Authorization => ({
  state,
  reason: reasonOf(code),
  message: explain(code, found),
});
