import { describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { type Asked, askFor, type RolloutAct, resumeRelease } from './rollout-act.ts';
import { rolloutAbort, rolloutApprove, rolloutPause, rolloutRollback } from './rollout-acts.ts';
import { ALICE } from './testing/fake-api.ts';
import { listen, typed } from './testing/heard.ts';
import { AUTHOR, DIGEST, NOW, pauseBy, RolloutApi, releaseOf, WAITING } from './testing/rollout.ts';

const PLACE = { name: 'cam-2-4-0', namespace: 'berlin' };
const clock = new FakeClock(NOW);

async function acted(api: RolloutApi, wish: RolloutAct, answer?: string | true) {
  const { heard, output } = listen();
  const ask = typeof answer === 'string' ? () => Promise.resolve(answer) : undefined;
  const asked: Asked = { release: PLACE, reason: 'ticket 4711', yes: answer === true, json: false, ...wish };
  const code = await askFor({ client: api.client, clock, output, ask }, asked);
  return { code, ...heard };
}

describe('approve', () => {
  it('names the wave that waits, the digest and the generation that are shown, after a yes', async () => {
    const api = new RolloutApi();
    const { code, err, out } = await acted(api, { action: 'Approve', wave: undefined }, 'yes');
    expect(code).toBe(0);
    expect(err).toContain(DIGEST);
    expect(err).toContain('wave canary: Inconclusive: 1 of 300 devices went wrong');
    expect(err).toContain('it means    wave broad may begin');
    expect(out).toContain(`Approve of berlin/cam-2-4-0 asked for by ${ALICE}: intervention cam-2-4-0-approve-x7k2p`);
    expect(api.made.map(({ spec }) => spec)).toEqual([
      {
        target: { kind: 'FirmwareRelease', name: 'cam-2-4-0' },
        ...{ action: 'Approve', requestedBy: ALICE, reason: 'ticket 4711' },
        approve: { wave: 'broad', digest: DIGEST, generation: 3 },
      },
    ]);
  });

  it.each<[says: string, api: RolloutApi, wave: string | undefined, code: string]>([
    ['one of nobody', new RolloutApi(releaseOf({ ...WAITING, conditions: [] })), undefined, 'HR-CLI-093'],
    ['a wave that there is not', new RolloutApi(), 'brod', 'HR-CLI-097'],
    ['their own release', new RolloutApi(releaseOf(WAITING, { author: ALICE })), undefined, 'HR-CLI-094'],
    ['a text that the operator has not seen', new RolloutApi(releaseOf({ ...WAITING, observedGeneration: 2 })), undefined, 'HR-CLI-095'],
    ['what was not verified', new RolloutApi(releaseOf({ ...WAITING, artifact: {} })), undefined, 'HR-CLI-095'],
  ])('approves not %s', async (_says, api, wave, code) => {
    await expect(acted(api, { action: 'Approve', wave }, true)).rejects.toThrow(code);
    expect(api.made).toEqual([]);
  });

  it('ahead of its time names the wave with --wave', async () => {
    const api = new RolloutApi(releaseOf({ ...WAITING, conditions: [] }));
    await acted(api, { action: 'Approve', wave: 'broad' }, true);
    expect(api.made[0]?.spec.approve?.wave).toBe('broad');
    expect(releaseOf().spec.author).toBe(AUTHOR);
  });
});

describe('abort and rollback', () => {
  it.each<[says: string, answer: string | undefined]>([
    ['another word than yes', 'y'],
    ['no answer', ''],
    ['no terminal', undefined],
  ])('do nothing on %s', async (_says, answer) => {
    const api = new RolloutApi();
    await expect(acted(api, { action: 'Abort' }, answer)).rejects.toThrow('HR-CLI-096');
    expect(api.made).toEqual([]);
  });

  it('say what they mean, and what there is no way back from', async () => {
    const api = new RolloutApi();
    expect((await acted(api, { action: 'Rollback' }, 'yes')).err).toContain('299 devices that have it start what they ran before');
    const stuck = new RolloutApi(releaseOf({ ...WAITING, rollback: { possible: false, reason: 'the security counter was raised' } }));
    const { err } = await acted(stuck, { action: 'Rollback' }, true);
    expect(err).toContain('way back    none: the security counter was raised');
    expect(err).toContain('299 have it and cannot go back');
    expect((await acted(api, { action: 'Abort' }, true)).err).toContain('9700 are not asked any more; 299 have it and keep it. For good');
    expect([...api.made, ...stuck.made].map(({ spec }) => spec.action)).toEqual(['Rollback', 'Abort', 'Rollback']);
  });
});

describe('pause and resume', () => {
  it('a pause is made without a question, with its end', async () => {
    const api = new RolloutApi();
    await acted(api, { action: 'Pause', expires: '2026-11-27T00:00:00Z' });
    expect(api.made[0]?.spec).toMatchObject({ action: 'Pause', expires: '2026-11-27T00:00:00Z', reason: 'ticket 4711' });
  });

  it('resume ends every pause and says whose it was; what is over or something else it leaves', async () => {
    const approval = { ...pauseBy('carol', { action: 'Approve' }), metadata: { name: 'an-approval', namespace: 'berlin' } };
    const api = new RolloutApi(releaseOf(), [pauseBy('bob'), approval]);
    const { heard, output } = listen();
    expect(await resumeRelease({ client: api.client, clock, output }, PLACE)).toBe(0);
    expect(heard.out).toBe('ended: pause cam-2-4-0-pause-x7k2p of bob: reboots seen in Hamburg\n');
    expect(api.interventions.map(({ metadata }) => metadata.name)).toEqual(['an-approval']);
    const again = listen();
    expect(await resumeRelease({ client: api.client, clock, output: again.output }, PLACE)).toBe(0);
    expect(again.heard.out).toBe('nothing to end: nobody has paused berlin/cam-2-4-0 by hand\n');
  });

  it('resume says that the manifest still pauses it', async () => {
    const api = new RolloutApi(releaseOf(WAITING, { rollout: { ...releaseOf().spec.rollout, paused: true } }));
    const { heard, output } = listen();
    expect(await resumeRelease({ client: api.client, clock, output }, PLACE)).toBe(3);
    expect(heard.out).toContain('still paused by the manifest');
  });
});

it.each([rolloutPause, rolloutApprove, rolloutAbort, rolloutRollback])(
  '$words.1 asks for a reason and for the release',
  async (command) => {
    const bare = await typed(command, ...command.words, 'cam-2-4-0');
    expect({ code: bare.code, err: bare.err.split('\n')[0] }).toEqual({ code: 2, err: 'kubectl hedgerow: --reason is required' });
    expect((await typed(command, ...command.words, '--reason', 'x')).err).toContain('which RELEASE?');
  },
);
