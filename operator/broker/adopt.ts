// Adopts an EMQX that others use: reads, says what would happen, and writes only when told to.
import { type AdoptionClient, type AdoptionPlan, planAdoption } from './adopt-plan.ts';
import type { SegmentRights } from './broker.ts';
import type { Emqx } from './emqx.ts';
import { createKnowledge } from './knowledge.ts';
import { readPosture } from './observe.ts';
import { banKey, INVALID_CERTIFICATE } from './plan.ts';
import { describe } from './posture.ts';
import { BrokerError } from './rest.ts';

export type AdoptOptions = {
  /** Rights of the segments in force, so that devices lose nothing in between. Empty: the running operator fills them in within seconds. */
  segments: readonly SegmentRights[];
  keep: 'all' | readonly number[];
  /** Without it nothing is written. */
  yes: boolean;
};

export type AdoptionReport = {
  plan: AdoptionPlan;
  /** Settings of this EMQX that keep devices from being safe on it, with their cures; Hedgerow does not change other people's settings. */
  unsafe: string;
  written: boolean;
};

export async function adoptBroker(emqx: Emqx, options: AdoptOptions): Promise<AdoptionReport> {
  const sources = await emqx.sources();
  const text = sources.find((source) => source.type === 'file')?.rules ?? '';
  const plan = planAdoption({
    text,
    noMatch: await noMatch(emqx),
    segments: options.segments,
    keep: options.keep,
    clients: await clients(emqx),
  });
  const unsafe = await posture(emqx, sources);
  if (!options.yes || plan.state !== 'foreign') return { plan, unsafe, written: false };
  // Somebody may have edited the text while the plan was read by a person or made by us.
  const now = (await emqx.sources()).find((source) => source.type === 'file')?.rules ?? '';
  if (now !== text) throw new BrokerError('HR-BRK-006', 200, 'the ACL text changed in between; nothing was written, look again');
  const answer = await emqx.putText(plan.text);
  if (!answer.ok) throw new BrokerError('HR-BRK-030', 400, `EMQX refused the text, the old one is in force: ${answer.why}`);
  const back = (await emqx.sources()).find((source) => source.type === 'file');
  if (back?.rules !== plan.text || !back.enable)
    throw new BrokerError('HR-BRK-005', 200, 'EMQX does not give back the ACL text as it was written');
  return { plan, unsafe, written: true };
}

async function clients(emqx: Emqx): Promise<AdoptionClient[]> {
  const [rows, subscriptions] = [await emqx.clientsWithAddress(), await emqx.subscriptions()];
  return rows.map((row) => ({
    clientid: row.clientid,
    username: row.username,
    ip: row.ip,
    attributes: row.segment === undefined ? {} : { seg: row.segment },
    subscriptions: subscriptions.get(row.clientid) ?? [],
  }));
}

async function noMatch(emqx: Emqx): Promise<'allow' | 'deny'> {
  const settings = await emqx.read('/authorization/settings');
  return typeof settings === 'object' && settings !== null && 'no_match' in settings && settings.no_match === 'deny' ? 'deny' : 'allow';
}

async function posture(emqx: Emqx, sources: Awaited<ReturnType<Emqx['sources']>>): Promise<string> {
  const knowledge = createKnowledge();
  knowledge.text = { kind: { kind: 'guest', before: '', after: '' }, raw: '', inForce: true };
  knowledge.bans.load(
    (await emqx.bans()).map((ban) => [banKey(ban), ban]),
    0,
  );
  await readPosture(emqx, knowledge, sources);
  // The operator bans it by itself once the broker is adopted.
  return describe(
    knowledge.findings.filter((finding) => finding.code !== 'HR-BRK-019' || knowledge.bans.get(banKey(INVALID_CERTIFICATE)) !== undefined),
  );
}
