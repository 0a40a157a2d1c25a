// Rounds of kill -9: each plays the same story with a fresh fleet while operator, API server and broker are killed at points that the seed gives, and has to
// end in the same world as the first round, in which nobody is killed.
import { join } from 'node:path';
import { lastLines } from '../../controlplane/process.ts';
import { certificatesByKey } from '../../harness/audit.ts';
import { tailAudit } from '../../harness/audit-tail.ts';
import { OPERATOR_ACCOUNT, OPERATOR_NAMESPACE } from '../../harness/system.ts';
import { pause, waitFor } from '../../harness/wait.ts';
import { dumpRound, ledgerEntries } from './dump.ts';
import { inWords, type Kill, scheduleFor } from './schedule.ts';
import { fateOf, leastWrites, newRound, play, prepareSegments, type Round, staysConnected } from './story.ts';
import { type CrashWorld, startCrashWorld } from './world.ts';

export type CrashOptions = {
  /** Devices of a round. */
  count: number;
  rounds: number;
  seed: number;
  /** Only this round (from 1), to repeat one that failed. */
  only?: number;
  /** A new cluster after so many rounds, so that big fleets do not pile up. */
  freshEvery: number;
  /** All three victims in every round; otherwise one to three of them. */
  everyVictim: boolean;
  /** Elections cost the 15 s of a Lease after each kill of the operator. */
  election: boolean;
  say: (line: string) => void;
};

export type CrashReport = {
  rounds: number;
  kills: number;
  /** Keys that got a certificate, and those that got more than one. */
  keys: number;
  keysWithTwo: number;
};

export const OPERATOR_USER = `system:serviceaccount:${OPERATOR_NAMESPACE}:${OPERATOR_ACCOUNT}`;
const SETTLE_LIMIT_MS = 150_000;
/** Reading 500 Devices costs the API server a tenth of a second. */
const DUMP_PAUSE_MS_PER_DEVICE = 4;
/** A world that takes longer than this to settle says meanwhile what it still waits for. */
const SILENT_MS = 15_000;

/** Throws, with the difference, when a round ends in another world. */
export async function runCrashRounds(options: CrashOptions): Promise<CrashReport> {
  const { rounds, seed, freshEvery, say } = options;
  const report: CrashReport = { rounds: 0, kills: 0, keys: 0, keysWithTwo: 0 };
  const wanted = Array.from({ length: rounds }, (_, at) => at + 1).filter((round) => options.only === undefined || options.only === round);
  say(`seed ${seed}: ${wanted.length} rounds of ${options.count} devices`);
  let calm: string | undefined;
  for (let first = 0; first < wanted.length; first += freshEvery) {
    const world = await startCrashWorld({ name: 'crash', ...(options.election ? {} : { operatorArgs: ['--leader-elect', 'false'] }) });
    try {
      calm = await undisturbed(world, options, calm);
      for (const number of wanted.slice(first, first + freshEvery)) {
        report.kills += await disturbed(world, options, number, calm);
        report.rounds += 1;
      }
      await checkCertificates(world, report);
    } finally {
      await world.stop();
    }
  }
  return report;
}

/** The world that every round has to end in. Equal in each new cluster too. */
async function undisturbed(world: CrashWorld, { count, say }: CrashOptions, known: string | undefined): Promise<string> {
  const startedAt = performance.now();
  await prepareSegments(world);
  const round = await newRound(world, 'r00', count);
  const dump = await ends(world, round, play(world, round), known, say);
  await leave(round);
  say(`round 0, nobody is killed: ${((performance.now() - startedAt) / 1000).toFixed(1)} s, the dump has ${dump.length} characters`);
  return dump;
}

/** Gives how many processes were killed. */
async function disturbed(world: CrashWorld, options: CrashOptions, number: number, calm: string): Promise<number> {
  const { count, seed, say } = options;
  const startedAt = performance.now();
  const kills = scheduleFor(seed, number, leastWrites(count), options.everyVictim);
  await prepareSegments(world);
  const round = await newRound(world, `r${String(number).padStart(2, '0')}`, count);
  try {
    const killed = killAt(world, kills);
    await ends(world, round, Promise.all([play(world, round), killed]), calm, say);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`round ${number} of seed ${seed} (${inWords(kills)}): ${why}\nThe operator's last words:\n${lastWords(world, 30)}`);
  } finally {
    await leave(round);
  }
  say(`round ${number} (${inWords(kills)}): equal after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return kills.flatMap(({ victims }) => victims).length;
}

async function killAt(world: CrashWorld, kills: readonly Kill[]): Promise<void> {
  const writes = tailAudit(world.cluster.auditLogFile, OPERATOR_USER);
  try {
    for (const { afterWrites, victims } of kills) {
      await waitFor(`${afterWrites} writes of the operator`, () => writes.count() >= afterWrites || undefined, {
        timeoutMs: SETTLE_LIMIT_MS,
        everyMs: 5,
        describe: () => `${writes.count()} were made`,
      });
      await world.kill(victims);
    }
  } finally {
    writes.close();
  }
}

/** Plays to the end and waits until the dump is as wanted, twice in a row; without a wanted one, until it holds still and everybody who should be is connected. */
async function ends(
  world: CrashWorld,
  round: Round,
  playing: Promise<unknown>,
  wanted: string | undefined,
  say: CrashOptions['say'],
): Promise<string> {
  await playing;
  let before = '';
  let saidAt = performance.now();
  const holdsStill = async (): Promise<string | undefined> => {
    const now = await dumpRound(world, round);
    const settled = now === before && incomplete(now, round).length === 0 && (wanted === undefined || now === wanted);
    before = now;
    if (!settled && performance.now() - saidAt > SILENT_MS) {
      saidAt = performance.now();
      say(
        `  not yet: ${differences(wanted, now, round).split(/\n|; /).slice(0, 6).join('; ')}; the operator's last words: ${lastWords(world, 3)}`,
      );
    }
    return settled ? now : undefined;
  };
  return waitFor('the world to settle', holdsStill, {
    timeoutMs: SETTLE_LIMIT_MS,
    everyMs: Math.max(wanted === undefined ? 2_000 : 300, DUMP_PAUSE_MS_PER_DEVICE * round.fleet.length),
    describe: () => differences(wanted, before, round),
  });
}

/** What the story says and the dump must show; the first round has nothing else to be measured by. Empty when all is well. */
function incomplete(dump: string, { fleet, connections }: Round): string[] {
  const seen = JSON.parse(dump) as Dump;
  const held = new Set(seen.broker.connected.map(({ clientid }) => clientid));
  const sockets = fleet.flatMap((device, index) => {
    const should = staysConnected(fateOf(index));
    const own = connections.get(device.name)?.connected() === true;
    const atBroker = held.has(`device-${index + 1}.${device.namespace}`);
    return own === should && atBroker === should
      ? []
      : [`${device.name} (${fateOf(index)}) should${should ? '' : ' not'} be connected; its own word: ${own}, the broker's: ${atBroker}`];
  });
  const busy = seen.devices.flatMap(({ name, status }) =>
    (status.conditions ?? [])
      .filter(({ type, status: is }) => type === 'Reconciling' && is === 'True')
      .map(({ reason, message }) => `${name} is being reconciled: ${reason}, ${message}`),
  );
  // The step is reported when it has stood for some seconds: before that the world holds still, and is not at its end.
  const moving = seen.devices
    .filter(({ status }) => status.move !== undefined && !(status.move.steps ?? []).some(({ step }) => step === 'RightsMoved'))
    .map(({ name }) => `${name} is on its way to another segment and has not got its rights`);
  return [...sockets, ...busy, ...moving];
}

type DeviceSeen = {
  conditions?: { type: string; status: string; reason: string; message: string }[];
  move?: { steps?: { step: string }[] };
};

type Dump = {
  broker: { connected: { clientid: string }[] };
  devices: { name: string; status: DeviceSeen }[];
};

function differences(wanted: string | undefined, seen: string, round: Round): string {
  if (seen === '') return 'it could not be read';
  const wrong = incomplete(seen, round);
  if (wanted === undefined || wrong.length > 0) return `it did not hold still, or: ${wrong.join('; ')}`;
  const found = differencesOf(JSON.parse(wanted), JSON.parse(seen), '');
  return `it differs from the undisturbed one:\n${found.slice(0, 40).join('\n')}`;
}

/** `devices[4].status.conditions[1].reason: "Issued", undisturbed "Issuing"` */
function differencesOf(wanted: unknown, seen: unknown, path: string): string[] {
  if (typeof wanted !== 'object' || typeof seen !== 'object' || wanted === null || seen === null) {
    return wanted === seen ? [] : [`${path}: ${JSON.stringify(seen)}, undisturbed ${JSON.stringify(wanted)}`];
  }
  const names = new Set([...Object.keys(wanted), ...Object.keys(seen)]);
  const step = (name: string): string => (Array.isArray(wanted) ? `${path}[${name}]` : `${path}.${name}`);
  return [...names].flatMap((name) => differencesOf((wanted as Tree)[name], (seen as Tree)[name], step(name)));
}

type Tree = Record<string, unknown>;

const lastWords = ({ cluster }: CrashWorld, count: number): string => lastLines(join(cluster.dir, 'operator.log'), count);

async function leave(round: Round): Promise<void> {
  await Promise.all([...round.connections.values()].map((connection) => connection.close()));
  await pause(0);
}

/** From the audit log and from the ledger: a SIGKILL of the API server takes the last lines of its log along. */
async function checkCertificates(world: CrashWorld, report: CrashReport): Promise<void> {
  const byKey = await certificatesByKey(world.cluster.auditLogFile);
  for (const { spki, sha256 } of await ledgerEntries(world)) byKey.set(spki, (byKey.get(spki) ?? new Set()).add(sha256));
  for (const certificates of byKey.values()) {
    report.keys += 1;
    if (certificates.size > 1) report.keysWithTwo += 1;
  }
}
