// `npm run bench -- NAME [--n N]`, `npm run bench -- --list`: one JSON line per figure on stdout, progress on stderr.
import { parseArgs } from 'node:util';
import type { Bench } from './figure.ts';
import { printFigure } from './figure.ts';
import { readyBench } from './ready.ts';

const BENCHES: readonly Bench[] = [readyBench];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, help: { type: 'boolean' }, n: { type: 'string' } },
});
const bench = BENCHES.find((one) => one.name === positionals[0]);
if (values.list === true) {
  for (const one of BENCHES) console.log(`${one.name.padEnd(12)} ${one.about}`);
} else if (bench === undefined || values.help === true) {
  console.error('usage: npm run bench -- NAME [--n N]\n       npm run bench -- --list');
  process.exit(values.help === true ? 0 : 2);
} else {
  const n = values.n === undefined ? undefined : Number(values.n);
  for await (const figure of bench.run({ ...(n === undefined ? {} : { n }), progress: (line) => console.error(line) }))
    printFigure(bench.name, figure);
}
