// `npm test [-- PATTERN…]`: every suite that needs no real node. Ends with `N passed, N failed`; exit code 0 only when nothing failed.
import { closingLine, runSuite, SUITES, sum } from './suites.ts';

const args = process.argv.slice(2);
if (args.includes('--help')) {
  console.log(
    'npm test [-- [--suite unit|broker|system] PATTERN…]\n\nRuns the suites unit, broker and system (real API server, cert-manager); PATTERN keeps the test files whose path contains it.',
  );
  process.exit(0);
}
const only = args.includes('--suite') ? args[args.indexOf('--suite') + 1] : undefined;
const patterns = args.filter((arg, at) => arg !== '--suite' && args[at - 1] !== '--suite');
const results = [];
for (const suite of SUITES) {
  if (only !== undefined && suite !== only) continue;
  console.log(`\n== ${suite} ==`);
  results.push(await runSuite(suite, patterns));
}
console.log('');
const total = sum(results);
for (const failure of total.failures) console.log(`FAILED  ${failure}`);
for (const result of results)
  console.log(`suite ${result.name.padEnd(8)} ${String(result.seconds).padStart(7)} s   ${closingLine(result)}`);
console.log(closingLine(total));
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);
