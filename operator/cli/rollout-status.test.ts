import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Intervention } from '../api/intervention.ts';
import { systemClock } from '../runtime/clock.ts';
import { showStatus, watchStatus } from './rollout-status.ts';
import { bar, rolloutLine, rolloutText } from './rollout-text.ts';
import { type Release, rolloutView, waveToApprove } from './rollout-view.ts';
import { createScreen } from './screen.ts';
import { condition } from './testing/fake-api.ts';
import { listen } from './testing/heard.ts';
import { DIGEST, NOW, pauseBy, RolloutApi, releaseOf, WAITING, withConditions } from './testing/rollout.ts';

const view = (release: Release, interventions: readonly Intervention[] = []) => rolloutView(release, interventions, NOW);
const PLACE = { name: 'cam-2-4-0', namespace: 'berlin' };
const RUNNING: FirmwareReleaseStatus = withConditions(
  {
    ...WAITING,
    phase: 'RollingOut',
    counts: {
      matched: 10_000,
      confirmed: 700,
      inFlight: 200,
      waiting: 9_000,
      failed: 40,
      rolledBack: 30,
      timedOut: 20,
      lost: 10,
      straggler: 5,
    },
    waves: [
      ...(WAITING.waves ?? []),
      {
        name: 'broad',
        phase: 'Running',
        target: 1000,
        counts: { reached: 700, confirmed: 401, inFlight: 200, failed: 99 },
        startedAt: '2026-11-26T08:00:00Z',
      },
    ],
  },
  condition('Approved', 'True', 'NothingToApprove'),
);

describe('what a rollout waits for', () => {
  const approved = condition('Approved', 'True', 'NothingToApprove');
  it.each<[says: string, release: Release, interventions: Intervention[], what: string | undefined, commands: string[]]>([
    [
      'an approval, and how it is given',
      releaseOf(),
      [],
      'an approval of wave broad, by somebody else than system:serviceaccount:argocd',
      ['kubectl hedgerow rollout approve cam-2-4-0 -n berlin --reason TEXT'],
    ],
    [
      'a pause before anything else, with who made it and why',
      releaseOf(),
      [pauseBy('bob', {})],
      'the end of the pause by bob (reboots seen in Hamburg)',
      ['kubectl hedgerow rollout resume cam-2-4-0 -n berlin'],
    ],
    [
      'no pause that is over',
      releaseOf(RUNNING),
      [pauseBy('bob', { expires: '2026-11-26T11:59:59Z' })],
      'devices: 200 at work, 9000 not asked yet, 5 are away and keep the offer',
      [],
    ],
    [
      'the manifest',
      releaseOf(RUNNING, { rollout: { ...releaseOf().spec.rollout, paused: true } }),
      [],
      'spec.rollout.paused: false in the manifest',
      [],
    ],
    [
      'the end of the soak',
      releaseOf(
        withConditions(
          { ...WAITING, phase: 'Soaking', waves: [{ name: 'canary', phase: 'Soaking', soakUntil: '2026-11-27T08:00:00Z' }] },
          approved,
        ),
      ),
      [],
      'the end of the soak, 2026-11-27T08:00:00Z',
      [],
    ],
    [
      'a person where it is stuck',
      releaseOf(withConditions({ ...RUNNING, phase: 'Paused' }, condition('Stalled', 'True', 'GateFailed', 'HR-FW-209: …'))),
      [],
      'a person: GateFailed',
      ['kubectl hedgerow rollout abort cam-2-4-0 -n berlin --reason TEXT'],
    ],
    [
      'an operator, where none has looked',
      { metadata: releaseOf().metadata, spec: releaseOf().spec },
      [],
      'an operator that looks at it',
      ['kubectl get pods -n hedgerow-system'],
    ],
    ['nothing, when it is over', releaseOf({ ...WAITING, phase: 'Completed' }), [], undefined, []],
  ])('%s', (_says, release, interventions, what, commands) => {
    const { waitsFor } = view(release, interventions);
    expect(waitsFor?.what).toEqual(what === undefined ? undefined : expect.stringContaining(what));
    expect(waitsFor?.commands ?? []).toEqual(commands);
  });

  it('without an author no approval counts, and it says so', () => {
    const { author: _author, ...spec } = releaseOf().spec;
    expect(view({ ...releaseOf(), spec }).waitsFor?.what).toContain('and spec.author in the manifest');
  });

  it('the wave to approve is the next one, or the one that grows', () => {
    expect(waveToApprove(releaseOf())).toBe('broad');
    const growing = { ...WAITING, waves: [...(WAITING.waves ?? []), { name: 'broad', phase: 'Running', target: 1000 }] };
    expect(waveToApprove(releaseOf(growing))).toBe('broad');
    expect(waveToApprove(releaseOf({ ...WAITING, waves: [] }))).toBe('canary');
    expect(waveToApprove(releaseOf(RUNNING))).toBeUndefined();
  });
});

describe('the text', () => {
  it('has what a person asks first at the top, the waves, and a sample of failures', () => {
    expect(rolloutText(view(releaseOf()))).toBe(GOLDEN);
  });

  it('says that no number of devices can pass a gate that allows nothing', () => {
    const gates = { error: { ratio: '0%', minSample: 20, confidence: '95%' } } as Release['spec']['rollout']['gates'];
    expect(
      rolloutText(view(releaseOf(WAITING, { rollout: { ...releaseOf().spec.rollout, ...(gates === undefined ? {} : { gates }) } }))),
    ).toContain('; no number of devices can pass it');
  });

  it('says why there is no way back', () => {
    const status = { ...WAITING, rollback: { possible: false, reason: 'the security counter 5 is above that of 40 devices' } };
    expect(rolloutText(view(releaseOf(status)))).toContain('way back     no: the security counter 5 is above that of 40 devices\n');
  });

  it('obeys nothing that a status holds', () => {
    const status = { ...WAITING, failureSamples: [{ device: 'x/\u001b[2Jy', code: 'a\nb' }] };
    const text = rolloutText(view(releaseOf(status)));
    expect(text).not.toContain('\u001b');
    expect(text).toMatch(/^x\/\\x\{1b\}\[2Jy +a\\x\{a\}b /m);
  });

  it('in one line says the same in short', () => {
    expect(rolloutLine(view(releaseOf(RUNNING)))).toBe(
      'RollingOut: 700 of 10000 confirmed, 200 at work, 100 failed, wave broad 401 of 1000; waits for devices: 200 at work, 9000 not asked yet, 5 are away and keep the offer',
    );
  });

  it('is about a release that nobody has looked at, too', () => {
    const { metadata, spec } = releaseOf();
    expect(rolloutText(view({ metadata, spec }))).toContain('phase        Unknown\n');
  });
});

describe('the bar', () => {
  it.each([
    [{}, 100, '[........................]'],
    [{ confirmed: 50 }, 100, '[============............]'],
    [{ confirmed: 100 }, 100, '[========================]'],
    [{ confirmed: 50, inFlight: 25, failed: 25 }, 100, '[============xxxxxx>>>>>>]'],
    [{ confirmed: 9_999, failed: 1 }, 10_000, '[=======================x]'],
    [{ confirmed: 1 }, 10_000, '[=.......................]'],
    [{ confirmed: 4, failed: 3 }, 7, '[==============xxxxxxxxxx]'],
    [{}, 0, '[........................]'],
  ])('%j of %i', (counts, target, drawn) => expect(bar(counts, target)).toBe(drawn));

  it('has always the same width, a cell for everybody who is there, and dots only where somebody is missing', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(100_000), fc.nat(100_000), fc.nat(300_000), (confirmed, failed, inFlight, target) => {
        const drawn = bar({ confirmed, failed, inFlight }, target);
        expect(drawn).toMatch(/^\[=*x*>*\.*\]$/);
        expect(drawn).toHaveLength(26);
        for (const [count, sign] of [
          [confirmed, '='],
          [failed, 'x'],
          [inFlight, '>'],
        ] as const)
          expect(drawn.includes(sign)).toBe(count > 0);
        const all = confirmed + failed + inFlight;
        if (all > 0 && all >= target) expect(drawn).not.toContain('.');
      }),
    );
  });
});

describe('a screen', () => {
  it('draws over what it drew, cuts long lines, and what is higher than the terminal', () => {
    const draw = createScreen(() => ({ columns: 10, rows: 4 }));
    expect(draw('one\ntwo\n')).toBe('one\ntwo\n');
    expect(draw('a line that is long\n')).toBe('\u001b[2F\u001b[Ja line th…\n');
    expect(draw('1\n2\n3\n4\n5\n')).toBe('\u001b[1F\u001b[J1\n2\n… 3 lines…\n');
  });
});

describe('the command', () => {
  const look = (api: RolloutApi, json = false) => ({ client: api.client, release: PLACE, json, clock: systemClock });

  it('prints the text, or all of it for scripts; who may not list Interventions learns the rest', async () => {
    const api = new RolloutApi();
    api.forbidden.add('list interventions');
    const { heard, output } = listen();
    expect(await showStatus(look(api), output)).toBe(0);
    expect(heard.out).toBe(GOLDEN);
    const scripts = listen();
    await showStatus(look(api, true), scripts.output);
    expect(JSON.parse(scripts.heard.out)).toMatchObject({
      phase: 'Waiting',
      gate: { needs: 173 },
      waitsFor: { commands: [expect.any(String)] },
    });
    const none = new RolloutApi();
    none.release = undefined;
    await expect(showStatus(look(none), output)).rejects.toThrow('HR-CLI-092: berlin/cam-2-4-0');
  });

  it.each<[string, FirmwareReleaseStatus['phase'], number]>([
    ['that completes: 0', 'Completed', 0],
    ['that fails: 1', 'Failed', 1],
    ['that went back: 1', 'RolledBack', 1],
    ['that another one took the place of: 1', 'Superseded', 1],
  ])('with -w goes on to the end of a release %s, and says nothing twice', async (_says, phase, code) => {
    const api = new RolloutApi(releaseOf(RUNNING));
    api.later = [
      releaseOf(RUNNING),
      releaseOf({ ...RUNNING, phase: 'Aborting' }),
      releaseOf({ ...RUNNING, ...(phase === undefined ? {} : { phase }) }),
    ];
    const { heard, output } = listen();
    expect(await watchStatus({ ...look(api), terminal: undefined }, output, new AbortController().signal)).toBe(code);
    const lines = heard.out.trim().split('\n');
    expect(lines.map((line) => line.split(':')[0])).toEqual(['RollingOut', 'Aborting', phase]);
  });

  it('with -w on a terminal draws in place', async () => {
    const api = new RolloutApi(releaseOf(RUNNING));
    api.later = [releaseOf({ ...RUNNING, phase: 'Completed' })];
    const { heard, output } = listen();
    await watchStatus({ ...look(api), terminal: () => ({ columns: 200, rows: 50 }) }, output, new AbortController().signal);
    expect(heard.out.split('\u001b[J')).toHaveLength(2);
  });

  it('with -w ends when it is interrupted, and when the release is deleted', async () => {
    const api = new RolloutApi(releaseOf(RUNNING));
    const stop = new AbortController();
    const { output } = listen();
    const watching = watchStatus({ ...look(api), terminal: undefined }, output, stop.signal);
    setTimeout(() => stop.abort(new Error('interrupted')), 50);
    expect(await watching).toBe(130);
    const gone = new RolloutApi(releaseOf(RUNNING));
    gone.later = [undefined];
    await expect(watchStatus({ ...look(gone), terminal: undefined }, output, new AbortController().signal)).rejects.toThrow('HR-CLI-092');
  });
});

const GOLDEN = `release      berlin/cam-2-4-0 (app 2.4.0)
phase        Waiting: the gate of wave canary cannot tell: 1 of 300 devices went wrong
waits for    an approval of wave broad, by somebody else than system:serviceaccount:argocd:argocd-application-controller
go on with   kubectl hedgerow rollout approve cam-2-4-0 -n berlin --reason TEXT
devices      299 of 10000 confirmed (12 of them by the word of the image only), 9700 not asked yet
failures     1 failed: 0.33% of 300 devices at an end; the true share is between 0.017% and 1.57% (each bound at 95%)
gate         wave canary: Inconclusive: 1 of 300 devices went wrong: a failure ratio of 0.017% to 1.57% (each bound at 95%); 1% are allowed; passes with 173 more without failure
way back     yes, devices can go back to what they ran before
statement    ${DIGEST}, signed by 2 release keys, trust root 2
sites        12, of which 1 do not answer

WAVE     PHASE       PROGRESS                     DONE   REACHED      CONFIRMED   FAILED   GATE           APPROVED BY
canary   Completed   [=======================x]   100%   300 of 300   299         1        Inconclusive   -
broad    not begun   -                            -      -            -           -        -              -

FAILED DEVICE    HOW        WAVE     WHEN
hamburg/cam-17   SelfTest   canary   2026-11-25T08:31:07Z
`;
