// The suites of `npm test` and how one is run: Vitest with a JSON report beside its ordinary output, so that counts are read, never guessed.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

export type Counts = {
  passed: number;
  failed: number;
  skipped: number /** What failed, and the first line of why. */;
  failures: readonly string[];
};
export type SuiteResult = Counts & { name: string; seconds: number };

/** The Vitest projects in the order they run: quickest first, so that a slip shows early. */
export const SUITES = ['unit', 'broker', 'system'] as const;

/** The files of `system` mostly wait: for a minute to pass, for a certificate to expire. So a whole run of it has three processes, each with a control plane of its own. */
const SHARDS: Readonly<Record<string, number>> = { system: 3 };

/** Runs one Vitest project, optionally only the files whose path matches one of `patterns`. A run that dies without a report counts as one failure. */
export async function runSuite(name: string, patterns: readonly string[]): Promise<SuiteResult> {
  const count = patterns.length > 0 ? 1 : (SHARDS[name] ?? 1);
  const startedAt = performance.now();
  const shards = Array.from({ length: count }, (_, at) => (count === 1 ? [] : [`--shard=${at + 1}/${count}`]));
  const counts = sum(await Promise.all(shards.map((shard) => runVitest(name, [...shard, ...patterns], count > 1))));
  return { name, seconds: Math.round((performance.now() - startedAt) / 100) / 10, ...counts };
}

async function runVitest(project: string, more: readonly string[], shared: boolean): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'hedgerow-report-'));
  const report = join(dir, 'report.json');
  const args = [
    'run',
    '--project',
    project,
    '--passWithNoTests',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...more,
  ];
  const code = await exitCode('node_modules/vitest/vitest.mjs', args, shared);
  const counts = await readCounts(report);
  await rm(dir, { recursive: true, force: true });
  // Vitest exits non-zero also for unhandled errors and failing set-up, which its test counts do not show.
  if (code === 0 || counts.failed > 0) return counts;
  return { ...counts, failed: 1, failures: [`${project}: ended with exit code ${code}, see its output above`] };
}

export function sum(results: readonly Counts[]): Counts {
  const total = (of: 'passed' | 'failed' | 'skipped'): number => results.reduce((all, one) => all + one[of], 0);
  return {
    passed: total('passed'),
    failed: total('failed'),
    skipped: total('skipped'),
    failures: results.flatMap(({ failures }) => failures),
  };
}

/** `12 passed, 0 failed` with `, 3 skipped` only where something was skipped: the last line of every test command. */
export function closingLine(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

type JsonReport = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
};

async function readCounts(report: string): Promise<Counts> {
  try {
    const parsed = JSON.parse(await readFile(report, 'utf8')) as JsonReport;
    const failures = parsed.testResults.flatMap(({ name, status, message, assertionResults }) => {
      const failed = assertionResults.filter((one) => one.status === 'failed');
      const file = relative(process.cwd(), name);
      // A file that could not even be loaded has no assertions: it is a failure all the same.
      if (status === 'failed' && assertionResults.length === 0) return [`${file}: ${firstLine(message)}`];
      return failed.map(({ fullName, failureMessages: [why = ''] }) => `${file} > ${fullName}: ${firstLine(why)}`);
    });
    return {
      passed: parsed.numPassedTests,
      failed: failures.length,
      skipped: parsed.numPendingTests + parsed.numTodoTests,
      failures,
    };
  } catch {
    return { passed: 0, failed: 1, skipped: 0, failures: ['a run left no report'] };
  }
}

const firstLine = (text: string): string => stripVTControlCharacters(text.split('\n', 1)[0] ?? '');

/** Where several write to one terminal, each writes whole lines. */
function exitCode(script: string, args: readonly string[], shared: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: shared ? ['ignore', 'pipe', 'pipe'] : 'inherit' });
    for (const [from, to] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ] as const) {
      if (from !== null) createInterface({ input: from }).on('line', (line) => to.write(`${line}\n`));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}
