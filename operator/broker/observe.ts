// Everything that the broker holds, read anew. Writes nothing.
import type { Emqx, Source } from './emqx.ts';
import { type Knowledge, mayWrite, modeOf } from './knowledge.ts';
import { banKey, banStep, INVALID_CERTIFICATE } from './plan.ts';
import { type PostureAnswers, posture } from './posture.ts';
import { BrokerError } from './rest.ts';
import { noteSource } from './text.ts';

/** Into `knowledge`. The text first: when it is other people's, the rest is none of our business. */
export async function observe(emqx: Emqx, knowledge: Knowledge): Promise<Source[]> {
  const sources = await emqx.sources();
  noteSource(
    knowledge,
    sources.find((source) => source.type === 'file'),
  );
  if (!mayWrite(knowledge)) return sources;
  const marks = { bans: knowledge.bans.mark(), records: knowledge.records.mark() };
  const [bans, records] = await Promise.all([emqx.bans(), recordsOf(emqx, sources)]);
  knowledge.bans.load(
    bans.map((ban) => [banKey(ban), ban]),
    marks.bans,
  );
  knowledge.records.load(records, marks.records);
  return sources;
}

async function recordsOf(emqx: Emqx, sources: readonly Source[]) {
  return sources.some((source) => source.type === 'built_in_database') ? await emqx.records() : new Map();
}

/** The settings that make rights mean anything; a part that cannot be read counts as unsafe, no answer at all is thrown. */
export async function readPosture(emqx: Emqx, knowledge: Knowledge, sources: readonly Source[]): Promise<void> {
  const [listeners, zone, settings, rulesForAll, delayed] = await Promise.all(
    [
      '/listeners',
      '/configs/global_zone',
      '/authorization/settings',
      '/authorization/sources/built_in_database/rules/all',
      '/mqtt/delayed',
    ].map((path) => readOrNothing(emqx, path)),
  );
  const ids = (Array.isArray(listeners) ? listeners : [])
    .map((row: { id?: unknown }) => String(row?.id))
    .filter((id) => /^(ssl|wss|quic):/.test(id));
  const details = new Map(
    await Promise.all(
      ids.map(async (id) => [id, await readOrNothing(emqx, `/listeners/${encodeURIComponent(id).replace('%3A', ':')}`)] as const),
    ),
  );
  const held = knowledge.bans.get(banKey(INVALID_CERTIFICATE));
  const answers: PostureAnswers = {
    listeners,
    details,
    zone,
    settings,
    sources,
    rulesForAll,
    delayed,
    invalidCertificateBanned: held !== undefined && banStep(INVALID_CERTIFICATE, held, false) === 'none',
  };
  knowledge.findings = posture(answers, modeOf(knowledge));
}

async function readOrNothing(emqx: Emqx, path: string): Promise<unknown> {
  try {
    return await emqx.read(path);
  } catch (error) {
    // What the key may not read is unknown for as long as the key is what it is; a failure of EMQX passes and is no verdict.
    if (error instanceof BrokerError && error.code === 'HR-BRK-003') return undefined;
    throw error;
  }
}
