import { describe, expect, it } from 'vitest';
import { createInbox } from './inbox.ts';

const message = (device: string, kind: string, text: string) => ({
  topic: `ota/v1/d/${device}/${kind}`,
  bytes: Buffer.from(text),
  properties: {},
  isRetained: false,
});
const said = (inbox: ReturnType<typeof createInbox>, most = 100): string[] => inbox.take(most).map(({ bytes }) => bytes.toString());

describe('what has come and was not looked at', () => {
  it('is given in the order in which a device said it, with what it says in one breath', () => {
    const inbox = createInbox();
    for (const [kind, text] of [['hello', 'a'] as const, ['state', 'b'] as const, ['state', 'c'] as const])
      inbox.put(message('d-1.berlin', kind, text));
    expect(said(inbox)).toEqual(['a', 'b', 'c']);
    expect(inbox.isEmpty()).toBe(true);
  });

  it('has room for sixteen messages of each device, the newest, whoever sends without end', () => {
    const inbox = createInbox();
    for (let at = 0; at < 1000; at += 1) inbox.put(message('loud.berlin', 'state', `${at}`));
    inbox.put(message('quiet.berlin', 'state', 'mine'));
    const all = said(inbox);
    expect(all).toHaveLength(17);
    expect(all.slice(-2)).toEqual(['999', 'mine']);
  });

  it('is nothing where a retained message is taken away, nor on another topic', () => {
    const inbox = createInbox();
    inbox.put(message('d-1.berlin', 'state', 'b'));
    expect(inbox.put(message('d-1.berlin', 'state', ''))).toBe(false);
    expect(inbox.put(message('d-1.berlin', 'log', 'x'))).toBe(false);
    expect(said(inbox)).toEqual(['b']);
  });
});
