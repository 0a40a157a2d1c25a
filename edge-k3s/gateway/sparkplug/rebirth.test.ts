import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { createRebirth, type RebirthOptions, rebirthCommand } from './rebirth.ts';

/** Made by somebody else's library. */
const made = JSON.parse(readFileSync(new URL('testdata/pysparkplug.json', import.meta.url), 'utf8')) as Record<string, string>;
const MADE_MS = 1_764_170_000_000;

describe('another birth', () => {
  function asking(answer: number | undefined) {
    const clock = new FakeClock(MADE_MS);
    const sent: Parameters<RebirthOptions['publish']>[0][] = [];
    const warned: unknown[] = [];
    const publish: RebirthOptions['publish'] = async (message) => {
      sent.push(message);
      return answer;
    };
    return {
      clock,
      sent,
      warned,
      rebirth: createRebirth({ publish, clock, log: { warn: (_fields: unknown, text?: string) => warned.push(text) } as never }),
    };
  }

  it('is asked for in the bytes of another library, at the topic of the node', () => {
    expect(rebirthCommand(MADE_MS).toString('hex')).toBe(made.rebirth);
    const { sent, rebirth } = asking(0);
    rebirth.ask('node-1.berlin', 'pumps.berlin');
    expect(sent).toEqual([{ topic: 'spBv1.0/pumps.berlin/NCMD/node-1.berlin', payload: rebirthCommand(MADE_MS), expirySeconds: 60 }]);
  });

  it('is asked for once a minute of one node, and of 32 at a time', async () => {
    const { clock, sent, rebirth } = asking(0);
    for (let n = 0; n < 50; n++) rebirth.ask('node-1.berlin', 'pumps.berlin');
    expect(sent).toHaveLength(1);
    for (let n = 2; n < 100; n++) rebirth.ask(`node-${n}.berlin`, 'pumps.berlin');
    expect(sent).toHaveLength(32);
    await Promise.resolve()
      .then(() => undefined)
      .then(() => undefined)
      .then(() => undefined);
    await clock.advance(60_000);
    rebirth.ask('node-1.berlin', 'pumps.berlin');
    expect(sent).toHaveLength(33);
  });

  it('is not asked for again for ten minutes in a segment where the broker refuses it, and the log says so once', async () => {
    const { clock, sent, warned, rebirth } = asking(0x87);
    rebirth.ask('node-1.berlin', 'pumps.berlin');
    await clock.advance(300_000);
    rebirth.ask('node-2.berlin', 'pumps.berlin');
    rebirth.ask('node-3.berlin', 'fans.berlin');
    expect(sent.map(({ topic }) => topic)).toEqual(['spBv1.0/pumps.berlin/NCMD/node-1.berlin', 'spBv1.0/fans.berlin/NCMD/node-3.berlin']);
    await clock.advance(300_000);
    expect(warned).toHaveLength(2);
    rebirth.ask('node-2.berlin', 'pumps.berlin');
    expect(sent).toHaveLength(3);
  });

  it('is asked for again at once when nobody knows whether it was', async () => {
    const { clock, sent, rebirth } = asking(undefined);
    rebirth.ask('node-1.berlin', 'pumps.berlin');
    await clock.advance(1);
    rebirth.ask('node-1.berlin', 'pumps.berlin');
    expect(sent).toHaveLength(2);
  });
});
