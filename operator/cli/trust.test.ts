import { describe, expect, it } from 'vitest';
import type { TrustStatus } from '../trust/trust.ts';
import { typed } from './testing/heard.ts';
import { statusText, trustForce } from './trust.ts';

const nobody = { count: 0, first: [] };
const status = (more: Partial<TrustStatus> = {}): TrustStatus => ({
  ...{ phase: 'Distributing', message: 'the broker keeps its certificate', sequence: 7, digest: 'ab', share: 0.95, of: 3, confirmed: 1 },
  ...{ waiting: nobody, leftBehind: nobody },
  ...more,
});

describe('the state of a rotation', () => {
  it('is a few lines', () =>
    expect(statusText(status(), false)).toBe(
      [
        'phase       Distributing',
        'message     the broker keeps its certificate',
        'confirmed   1 of 3; a share of 0.95 is needed',
        'sequence    7',
        'digest      ab',
        '',
      ].join('\n'),
    ));

  it('names who is waited for and who is out of touch, and says how many more there are', () => {
    const text = statusText(status({ waiting: { count: 3, first: ['a.x', 'b.x'] }, leftBehind: { count: 1, first: ['z.x'] } }), true);
    expect(text).toContain('forced      by a person, for this set of anchors\n');
    expect(text).toContain('\nnot confirmed by:\n  a.x\n  b.x\n  and 1 more\n');
    expect(text).toContain('\nout of touch and not confirmed:\n  z.x\n');
  });

  it('shows nothing of a name that could move the cursor of a terminal', () =>
    expect(statusText(status({ waiting: { count: 1, first: ['\u001b[2Jx'] } }), false)).not.toContain('\u001b'));
});

it('to force it needs a reason', async () => {
  expect(await typed(trustForce, 'trust', 'force')).toMatchObject({ code: 2, err: expect.stringContaining('--reason is required') });
});
