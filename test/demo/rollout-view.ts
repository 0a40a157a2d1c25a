// How far a release is, as lines: one for each wave, with a bar. Pure.
import type { Paint } from './paint.ts';

export type WaveView = {
  name: string;
  phase?: string;
  target?: number;
  counts?: Partial<Record<'inFlight' | 'confirmed' | 'failed' | 'rolledBack' | 'timedOut', number>>;
};

const BAR = 30;

/** At most `height` lines of at most `width` characters. */
export function rolloutLines(release: string, waves: readonly WaveView[], paint: Paint, width: number, height: number): string[] {
  const longest = Math.max(4, ...waves.map(({ name }) => name.length));
  const lines = waves.map(({ name, phase = 'waits', target = 0, counts = {} }) => {
    const { confirmed = 0, inFlight = 0 } = counts;
    const wrong = (counts.failed ?? 0) + (counts.rolledBack ?? 0) + (counts.timedOut ?? 0);
    const cells = (n: number): number => (target === 0 ? 0 : Math.round((n / target) * BAR));
    const [good, bad] = [cells(confirmed), cells(wrong)];
    const going = Math.min(BAR - good - bad, cells(inFlight));
    const rest = Math.max(0, BAR - good - bad - going);
    const bar = `${paint.green('#'.repeat(good))}${paint.red('x'.repeat(bad))}${paint.yellow('>'.repeat(going))}${paint.dim('.'.repeat(rest))}`;
    const said = `${confirmed} of ${target} confirmed${wrong === 0 ? '' : `, ${wrong} went wrong`}${inFlight === 0 ? '' : `, ${inFlight} at work`}; ${phase}`;
    const room = Math.max(0, width - longest - BAR - 6);
    return `  ${name.padEnd(longest)}  ${bar}  ${said.slice(0, room)}`;
  });
  return [paint.dim(`ROLLOUT ${release}`.slice(0, width)), ...lines].slice(0, Math.max(0, height));
}
