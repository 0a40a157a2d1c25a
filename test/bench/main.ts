// `npm run bench -- NAME`, `npm run bench -- --list`: one JSON line per figure on stdout, progress on stderr.
import { parseArgs } from 'node:util';
import { aclBench } from './acl.ts';
import { crashBench } from './crash.ts';
import { crlBench } from './crl.ts';
import { editBench } from './edit.ts';
import { enrollBench } from './enroll.ts';
import { faultsBench } from './faults.ts';
import type { Bench } from './figure.ts';
import { printFigure } from './figure.ts';
import { gatewayBench } from './gateway.ts';
import { nabBench } from './nab.ts';
import { readyBench } from './ready.ts';
import { revokeBench } from './revoke.ts';
import { rolloutBench } from './rollout.ts';
import { rotateBench } from './rotate.ts';
import { spoolBench } from './spool.ts';
import { verifyBench } from './verify.ts';

const BENCHES: readonly Bench[] = [
  readyBench,
  enrollBench,
  crashBench,
  crlBench,
  rotateBench,
  revokeBench,
  editBench,
  aclBench,
  verifyBench,
  rolloutBench,
  spoolBench,
  nabBench,
  gatewayBench,
  faultsBench,
];
const USAGE = `usage: npm run bench -- NAME [--n N] [--clients N] [--sockets N] [--rounds N] [--seed N] [--round K] [--data DIR]
       npm run bench -- --list`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    help: { type: 'boolean' },
    n: { type: 'string' },
    clients: { type: 'string' },
    sockets: { type: 'string' },
    rounds: { type: 'string' },
    seed: { type: 'string' },
    round: { type: 'string' },
    data: { type: 'string' },
  },
});
const bench = BENCHES.find((one) => one.name === positionals[0]);
if (values.list === true) {
  for (const one of BENCHES) console.log(`${one.name.padEnd(12)} ${one.about}`);
} else if (bench === undefined || values.help === true) {
  console.error(USAGE);
  process.exit(values.help === true ? 0 : 2);
} else {
  const numbers = {
    ...numberOf('n', values.n),
    ...numberOf('clients', values.clients),
    ...numberOf('sockets', values.sockets),
    ...numberOf('rounds', values.rounds),
    ...numberOf('seed', values.seed),
    ...numberOf('round', values.round),
    ...(values.data === undefined ? {} : { data: values.data }),
  };
  for await (const figure of bench.run({ ...numbers, progress: (line) => console.error(line) })) printFigure(bench.name, figure);
}

function numberOf<Name extends string>(name: Name, text: string | undefined): { [name in Name]?: number } {
  if (text === undefined) return {};
  if (!/^\d{1,9}$/.test(text)) {
    console.error(`--${name} ${text} is not a whole number\n${USAGE}`);
    process.exit(2);
  }
  return { [name]: Number(text) } as { [name in Name]?: number };
}
