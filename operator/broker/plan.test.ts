import { describe, expect, it } from 'vitest';
import type { Ban } from './broker.ts';
import type { HeldBan } from './emqx.ts';
import { type BanStep, banStep, FLAPPING, wantedBans } from './plan.ts';

const ban: Ban = {
  as: 'clientid',
  who: 'thermo-1.berlin',
  until: '2026-12-01T00:00:00.000Z',
  reason: 'revoked',
  by: 'hedgerow/thermo-1.berlin',
};
const held: HeldBan = { ...ban, until: '2026-12-01T00:00:00+00:00' };

describe('what is done about one identity', () => {
  it.each<[string, Ban | undefined, HeldBan | undefined, boolean, BanStep]>([
    ['nothing is wanted and nothing is there', undefined, undefined, true, 'none'],
    ['a ban is missing', ban, undefined, true, 'make'],
    ['it is there, in the broker’s own way of writing the time', ban, held, true, 'none'],
    ['it is there but ends too early', ban, { ...held, until: '2026-11-30T00:00:00+00:00' }, true, 'replace'],
    ['it is there and lasts longer', ban, { ...held, until: 'infinity' }, true, 'none'],
    ['for ever is wanted and a date is there', { ...ban, until: 'infinity' }, held, true, 'replace'],
    ['ours is not wanted any more', undefined, held, true, 'remove'],
    ['ours of a certificate is not wanted any more', undefined, { ...held, as: 'username', who: 'a'.repeat(32) }, false, 'remove'],
    ['a ban of other people is never removed', undefined, { ...held, by: 'alice' }, true, 'none'],
    ['nor one whose name only looks like ours', undefined, { ...held, by: 'operator/hedgerow' }, true, 'none'],
    ['other people’s ban that lasts long enough will do', ban, { ...held, by: 'alice', until: 'infinity' }, true, 'none'],
    [
      'other people’s ban that ends too early is lengthened: revoked means for ever',
      ban,
      { ...held, by: 'alice', until: '2026-11-25T00:00:00Z' },
      true,
      'replace',
    ],
    ['a flapping detector’s record is never taken for ours', ban, { ...held, by: FLAPPING, until: 'infinity' }, true, 'replace'],
    ['and is removed from one of our ids', undefined, { ...held, by: FLAPPING }, true, 'remove'],
    ['but not from other people’s', undefined, { ...held, by: FLAPPING }, false, 'none'],
    ['nor when it is of an address', undefined, { ...held, as: 'peerhost', by: FLAPPING }, true, 'none'],
  ])('%s', (_name, wanted, seen, ours, step) => expect(banStep(wanted, seen, ours)).toBe(step));
});

describe('bans that are wanted', () => {
  it('of two for one identity the longer holds, whatever the order', () => {
    const long = { ...ban, until: 'infinity' };
    expect([...wantedBans([ban, long]).values()]).toEqual([long]);
    expect([...wantedBans([long, ban]).values()]).toEqual([long]);
  });
  it('an empty name, which EMQX would take, is never sent', () => expect(wantedBans([{ ...ban, who: '' }]).size).toBe(0));
  it('an identity is a name and its kind', () => expect(wantedBans([ban, { ...ban, as: 'username' }]).size).toBe(2));
});
