// Runs sentences in order and prints which hold. A later sentence mostly needs the earlier ones, so what a failed foundation makes impossible is not tried.
export type Step = {
  sentence: string;
  /** What comes later is pointless when this does not hold. */
  foundation?: boolean;
  /** A text that it gives stands behind the sentence: what was measured. */
  run(): Promise<unknown>;
};

export type Counts = { passed: number; failed: number };

export async function runSteps(steps: readonly Step[], aborted: () => boolean, print: (line: string) => void): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0 };
  for (const [at, step] of steps.entries()) {
    const startedAt = performance.now();
    try {
      const note = await step.run();
      if (aborted()) throw new Error('stopped by a signal');
      counts.passed += 1;
      print(`ok      ${step.sentence} (${seconds(startedAt)}${typeof note !== 'string' ? '' : `; ${note}`})`);
    } catch (error) {
      counts.failed += 1;
      print(`FAILED  ${step.sentence} (${seconds(startedAt)})\n${indented(error)}`);
      if (step.foundation !== true && !aborted()) continue;
      const rest = steps.slice(at + 1);
      for (const { sentence } of rest) print(`FAILED  ${sentence} (not tried)`);
      counts.failed += rest.length;
      return counts;
    }
  }
  return counts;
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
}

function indented(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text
    .split('\n')
    .map((line) => `        ${line}`)
    .join('\n');
}
