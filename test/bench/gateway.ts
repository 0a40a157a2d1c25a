// Messages a second that the gateway takes through all its stages on one core, each acknowledged when it is on disk, beside Node-RED that parses the same messages, asks the
// same schema and compares with the same limit. Whoever feeds them has the other core. What each stands for, and what is in no figure: docs/reference/edge-bench.md.
import type { Bench, Figure } from './figure.ts';
import { percentile } from './figure.ts';
import { startGateway } from './gateway/hedgerow.ts';
import { installNodeRed, startNodeRed } from './gateway/node-red.ts';
import { type Pace, type Run, runOf, type Subject } from './gateway/run.ts';

const ROUNDS = 5;
const SECONDS = 10;
const FIXED_PER_SECOND = 5_000;
/** 15 crossings of the limit a run. */
const FIXED_SECONDS = 30;
const WARM_UP_SECONDS = 5;

export const gatewayBench: Bench = {
  name: 'gateway',
  about: 'messages a second on one core, all stages, QoS 1 acknowledged after the disk; beside Node-RED with parse, schema and threshold',
  async *run({ n: seconds = SECONDS, rounds = ROUNDS, progress }) {
    const { directory, version } = await installNodeRed(progress);
    const pace: Pace = {
      ...{ warmUpSeconds: WARM_UP_SECONDS, seconds, fixedPerSecond: FIXED_PER_SECOND },
      fixedSeconds: Math.min(FIXED_SECONDS, 3 * seconds),
    };
    const peer: Subject = { name: `Node-RED ${version}`, start: (place) => startNodeRed(directory, place, 'nodes') };
    const tuned: Subject = { name: `Node-RED ${version}, one function`, start: (place) => startNodeRed(directory, place, 'tuned') };
    const own: Subject = { name: 'gateway', start: startGateway };
    const runs: Record<Who, Run[]> = { own: [], peer: [], tuned: [] };
    const subjects: [Who, Subject][] = [
      ['own', own],
      ['peer', peer],
      ['tuned', tuned],
    ];
    for (let round = 0; round < rounds; round++)
      // Who is first changes, so that none has the warmer machine.
      for (let at = 0; at < subjects.length; at++) {
        const [who, subject] = subjects[(round + at) % subjects.length] ?? ['own', own];
        const run = await runOf(subject, pace);
        runs[who].push(run);
        progress(`round ${round + 1}: ${subject.name} ${say(run)}`);
      }
    yield* figuresOf(runs, peer.name);
  },
};

type Who = 'own' | 'peer' | 'tuned';

const say = (run: Run): string =>
  `${Math.round(run.messagesPerSecond)}/s, ${run.cpuSecondsPerMillion.toFixed(2)} CPU s per million, ${Math.round(run.rssMiB)} MiB, ` +
  `slowest alert ${Math.max(...run.alertsAfterMs).toFixed(1)} ms, feeder ${Math.round(run.feederBusy * 100)} % busy`;

function* figuresOf(runs: Readonly<Record<Who, readonly Run[]>>, peer: string): Generator<Figure> {
  const n = runs.own.length;
  const median = (who: Who, of: (run: Run) => number): number => percentile(inOrder(runs[who].map(of)), 50);
  const beside = (figure: string, unit: string, of: (run: Run) => number): Figure => ({
    ...{ figure, unit, n, value: median('own', of), referenceValue: median('peer', of) },
    reference: `${peer}: parse, schema and threshold by its own nodes`,
  });
  /** Largest less smallest, as a share of the median. */
  const spread = (figure: string, who: Who): Figure => {
    const all = inOrder(runs[who].map(perSecond));
    return { figure, value: (100 * ((all.at(-1) ?? 0) - (all[0] ?? 0))) / percentile(all, 50), unit: '%', n };
  };
  yield beside('messages-per-second', 'messages/s', perSecond);
  yield spread('messages-per-second-spread', 'own');
  yield spread('messages-per-second-spread-of-peer', 'peer');
  yield {
    ...{ figure: 'messages-per-second-beside-one-function', unit: 'messages/s', n, value: median('own', perSecond) },
    ...{ reference: `${peer}: all in one function node`, referenceValue: median('tuned', perSecond) },
  };
  yield beside('cpu-seconds-per-million', 's', ({ cpuSecondsPerMillion }) => cpuSecondsPerMillion);
  yield beside('memory-peak', 'MiB', ({ rssMiB }) => rssMiB);
  const alerts = (who: Who): number[] => inOrder(runs[who].flatMap(({ alertsAfterMs }) => alertsAfterMs));
  yield {
    ...{ figure: 'alert-p99', unit: 'ms', n: alerts('own').length, value: percentile(alerts('own'), 99) },
    ...{ reference: `${peer}: parse, schema and threshold by its own nodes`, referenceValue: percentile(alerts('peer'), 99) },
  };
  const busiest = Math.max(...Object.values(runs).flatMap((all) => all.map(({ feederBusy }) => feederBusy)));
  yield { figure: 'feeder-busy', value: 100 * busiest, unit: '%', n: 3 * n };
}

const perSecond = (run: Run): number => run.messagesPerSecond;
const inOrder = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
