import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastTime, type OfferInput, offersNow, type Pace, type Row, rateOf } from './offers.ts';

const MINUTE = 60_000;
const pace = (more: Partial<Pace> = {}): Pace => ({ perMinute: 300, maxInFlight: 2000, ...more });
const rowsOf = (count: number, more: (at: number) => Partial<Row> = () => ({})): Row[] =>
  Array.from({ length: count }, (_, at) => ({ uid: `d-${at}`, lane: 'Waiting', groups: [], ...more(at) }));
const ask = (more: Partial<OfferInput>): { offers: number; held: string | undefined } => {
  const { offer, held } = offersNow({
    now: 10 * MINUTE,
    rows: [],
    offeredAt: [],
    confirmed: 0,
    pace: undefined,
    budgets: [],
    busy: 0,
    ...more,
  });
  return { offers: offer.length, held };
};
const site = (maxUnavailable: string, size: number) => ({ maxUnavailable, sizes: new Map([['berlin', size]]) });

describe('offers', () => {
  it.each<[says: string, input: Partial<OfferInput>, offers: number, held: string | undefined]>([
    ['all at once where there is room', { rows: rowsOf(5) }, 5, undefined],
    ['as many as the pace in one minute', { rows: rowsOf(500) }, 300, 'Pace'],
    ['less what was offered in it already', { rows: rowsOf(500), offeredAt: Array(290).fill(9.5 * MINUTE) }, 10, 'Pace'],
    ['what is a minute old counts no longer', { rows: rowsOf(500), offeredAt: Array(290).fill(9 * MINUTE) }, 300, 'Pace'],
    ['no more at once than maxInFlight', { rows: rowsOf(50), pace: pace({ maxInFlight: 20 }), busy: 15 }, 5, 'InFlight'],
    ['none when more are busy than may be', { rows: rowsOf(50), pace: pace({ maxInFlight: 20 }), busy: 30 }, 0, 'InFlight'],
    ['a tenth of a site', { rows: rowsOf(50, () => ({ groups: ['berlin'] })), budgets: [site('10%', 50)] }, 5, 'Disruption'],
    [
      'devices that are away count as down',
      { rows: rowsOf(50, (at) => ({ groups: ['berlin'], lane: at < 3 ? 'Down' : 'Waiting' })), budgets: [site('5', 50)] },
      2,
      'Disruption',
    ],
    [
      'one of a small site whatever its budget',
      { rows: rowsOf(3, () => ({ groups: ['berlin'] })), budgets: [site('0%', 3)] },
      1,
      'Disruption',
    ],
    [
      'a full site does not hold up another',
      { rows: rowsOf(4, (at) => ({ groups: [at < 2 ? 'berlin' : undefined] })), budgets: [site('1', 2)] },
      3,
      'Disruption',
    ],
    [
      'each budget holds by itself',
      {
        rows: rowsOf(9, (at) => ({ groups: ['berlin', `rack-${at % 3}`] })),
        budgets: [site('5', 9), { maxUnavailable: '1', sizes: new Map() }],
      },
      3,
      'Disruption',
    ],
    ['nobody where nobody waits', { rows: rowsOf(9, () => ({ lane: 'Done' })) }, 0, undefined],
  ])('%s', (_, input, offers, held) => expect(ask(input)).toEqual({ offers, held }));

  it('go to devices in the order of the wave', () => {
    const { offer } = offersNow({
      now: 0,
      rows: rowsOf(9),
      offeredAt: [],
      confirmed: 0,
      pace: pace({ perMinute: 3 }),
      budgets: [],
      busy: 0,
    });
    expect(offer.map(({ uid }) => uid)).toEqual(['d-0', 'd-1', 'd-2']);
  });

  it('come faster as devices confirm, up to the pace', () => {
    const growing = pace({ exponential: { base: 20, factor: 2, increaseOnConfirmed: 500 } });
    expect([0, 499, 500, 1000, 1500, 2000, 1e9].map((confirmed) => rateOf(growing, confirmed))).toEqual([20, 20, 40, 80, 160, 300, 300]);
  });

  const paces = fc
    .record({
      perMinute: fc.integer({ min: 1, max: 50 }),
      maxInFlight: fc.integer({ min: 1, max: 60 }),
      exponential: fc.option(
        fc.record({ base: fc.integer({ min: 1, max: 9 }), factor: fc.constant(2), increaseOnConfirmed: fc.integer({ min: 1, max: 40 }) }),
        { nil: undefined },
      ),
    })
    .map(({ exponential, ...rest }): Pace => (exponential === undefined ? rest : { ...rest, exponential }));

  it('keep every bound at every moment of a wave, and bring it to its end', () => {
    fc.assert(
      fc.property(
        paces,
        fc.integer({ min: 1, max: 120 }),
        fc.constantFrom('1', '4', '10%', '0%'),
        fc.infiniteStream(fc.nat(99)),
        (speed, count, maxUnavailable, numbers) => {
          const rows = rowsOf(count, (at) => ({ groups: [`site-${at % 4}`] }));
          const sizes = new Map(
            [0, 1, 2, 3].map((one) => [`site-${one}`, rows.filter(({ groups }) => groups[0] === `site-${one}`).length]),
          );
          const lanes = new Map(rows.map(({ uid }): [string, Row['lane']] => [uid, 'Waiting']));
          const [offeredAt, endsAt]: [number[], Map<string, number>] = [[], new Map()];
          const most = Math.max(
            1,
            maxUnavailable.endsWith('%')
              ? Math.ceil((Number(maxUnavailable.slice(0, -1)) * Math.ceil(count / 4)) / 100)
              : Number(maxUnavailable),
          );
          let now = 0;
          for (let tick = 0; [...lanes.values()].includes('Waiting') && tick < 20_000; tick++, now += 10_000) {
            for (const [uid, at] of endsAt) if (at <= now && lanes.get(uid) === 'Busy') lanes.set(uid, 'Done');
            const confirmed = [...lanes.values()].filter((lane) => lane === 'Done').length;
            const busy = [...lanes.values()].filter((lane) => lane === 'Busy').length;
            const { offer } = offersNow({
              now,
              rows: rows.map((row) => ({ ...row, lane: lanes.get(row.uid) ?? 'Done' })),
              offeredAt,
              confirmed,
              pace: speed,
              budgets: [{ maxUnavailable, sizes }],
              busy,
            });
            for (const { uid } of offer) {
              lanes.set(uid, 'Busy');
              offeredAt.push(now);
              endsAt.set(uid, now + (1 + (numbers.next().value ?? 0)) * 1000);
            }
            const down = rows.filter(({ uid }) => lanes.get(uid) === 'Busy');
            expect(down.length).toBeLessThanOrEqual(speed.maxInFlight);
            expect(offeredAt.filter((at) => at > now - MINUTE).length).toBeLessThanOrEqual(speed.perMinute);
            for (const one of sizes.keys()) expect(down.filter(({ groups }) => groups[0] === one).length).toBeLessThanOrEqual(most);
          }
          expect([...lanes.values()]).not.toContain('Waiting');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('take at least as long as counting minute by minute says', () => {
    fc.assert(
      fc.property(paces, fc.integer({ min: 0, max: 3000 }), fc.nat(200), (speed, offers, before) => {
        let [minutes, left, confirmed] = [0, offers, before];
        for (; left > rateOf(speed, confirmed); minutes++) {
          const made = rateOf(speed, confirmed);
          left -= made;
          confirmed += made;
        }
        expect(leastTime(speed, { offers, confirmed: before })).toBe(minutes * MINUTE);
      }),
    );
  });
});
