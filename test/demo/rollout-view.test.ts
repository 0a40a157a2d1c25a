import { describe, expect, it } from 'vitest';
import { createPaint } from './paint.ts';
import { rolloutLines } from './rollout-view.ts';

const waves = [
  { name: 'lab', phase: 'Completed', target: 5, counts: { confirmed: 5 } },
  { name: 'canary', phase: 'Running', target: 15, counts: { confirmed: 5, rolledBack: 5, inFlight: 5 } },
  { name: 'broad' },
];

describe('how far a rollout is', () => {
  it('has a line for each wave, with what is done, went wrong, is at work and waits', () => {
    expect(rolloutLines('cam-2.5.0', waves, createPaint(false), 140, 20)).toEqual([
      'ROLLOUT cam-2.5.0',
      `  lab     ${'#'.repeat(30)}  5 of 5 confirmed; Completed`,
      `  canary  ${'#'.repeat(10)}${'x'.repeat(10)}${'>'.repeat(10)}  5 of 15 confirmed, 5 went wrong, 5 at work; Running`,
      `  broad   ${'.'.repeat(30)}  0 of 0 confirmed; waits`,
    ]);
  });

  it('keeps to the height and the width that there are', () => {
    const lines = rolloutLines('cam-2.5.0', waves, createPaint(false), 60, 3);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
  });
});
