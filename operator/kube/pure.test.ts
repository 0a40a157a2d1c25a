import { describe, expect, it } from 'vitest';
import { errorFromAnswer, errorFromNetwork } from './answer.ts';
import { createBackoff } from './backoff.ts';
import { codeOf, ERRORS, isAlreadyExists, isConflict, isNamespaceTerminating, KubeError } from './errors.ts';
import { keyOf, keyOfRef, refOf } from './object.ts';
import { endingOf, next, type State } from './reflector-state.ts';
import { retryDelayMs } from './retry.ts';

const error = (status: number, reason = 'X', retryAfterMs?: number): KubeError =>
  new KubeError({ status, reason, message: 'm', retryAfterMs });

describe('keys', () => {
  it.each(['ns/name', 'name'])('%s is the key of what it refers to', (key) => {
    expect(keyOfRef(refOf(key))).toBe(key);
    expect(keyOf({ metadata: refOf(key) })).toBe(key);
  });
});

describe('retry', () => {
  it.each([
    ['a 429 with a time waits at least that long', error(429, 'X', 2000), 'POST', 1, 2000],
    ['a 429 without one backs off', error(429), 'POST', 3, 400],
    ['a 503 with a time is tried again', error(503, 'X', 1000), 'PATCH', 1, 1000],
    ['a 500 without one is given up', error(500), 'GET', 1, undefined],
    ['a 409 is given up', error(409, 'Conflict', 1000), 'PUT', 1, undefined],
    ['a lost connection of a GET is tried again', error(0, 'NetworkError'), 'GET', 1, 0],
    ['a lost connection of a POST is given up', error(0, 'NetworkError'), 'POST', 1, undefined],
    ['a missed deadline is given up', error(0, 'Timeout'), 'GET', 1, undefined],
    ['the sixth 429 is given up', error(429, 'X', 1), 'GET', 6, undefined],
  ])('%s', (_name, failure, method, tries, expected) => {
    expect(retryDelayMs(failure, method, tries, () => 0)).toBe(expected);
  });

  it('spreads clients over half of the time that the server named', () => {
    expect(retryDelayMs(error(429, 'X', 1000), 'GET', 1, () => 0.999)).toBeCloseTo(1499.5);
  });
});

describe('back-off', () => {
  const always = (): number => 1;

  it('asks again at once after the first end, then doubles from 0.8 s to 30 s', () => {
    const backoff = createBackoff(always);
    expect(Array.from({ length: 9 }, () => backoff.next(0))).toEqual([0, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  it('has forgotten all failures after two minutes of health', () => {
    const backoff = createBackoff(always);
    for (let i = 0; i < 20; i++) backoff.next(0);
    expect(backoff.next(140_000)).toBe(0);
  });

  it('forgives one failure for every 20 s of health', () => {
    const backoff = createBackoff(always);
    for (let i = 0; i < 4; i++) backoff.next(0);
    expect(backoff.next(40_000)).toBe(1600);
  });
});

describe('answers', () => {
  it.each([
    ['Retry-After in the head', '3', '{}', 3000],
    ['retryAfterSeconds in the details', undefined, '{"kind":"Status","details":{"retryAfterSeconds":2}}', 2000],
    ['a date in the head is not understood', 'Wed, 21 Oct 2026 07:28:00 GMT', '{}', undefined],
    ['no time at all', undefined, '', undefined],
  ])('%s', (_name, header, body, expected) => {
    expect(errorFromAnswer(503, header, body, 'GET /x').retryAfterMs).toBe(expected);
  });

  it('a network failure names its lowest cause', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' });
    expect(errorFromNetwork(new Error('fetch failed', { cause }), 'GET /x').message).toBe(
      'GET /x: ECONNREFUSED connect ECONNREFUSED 127.0.0.1:1',
    );
  });

  it('tells AlreadyExists from a conflict of versions', () => {
    expect([isConflict(error(409, 'Conflict')), isAlreadyExists(error(409, 'Conflict'))]).toEqual([true, false]);
    expect([isConflict(error(409, 'AlreadyExists')), isAlreadyExists(error(409, 'AlreadyExists'))]).toEqual([false, true]);
  });

  it.each([
    [{ causes: [{ reason: 'NamespaceTerminating' }] }, true],
    [{ causes: [{ reason: 'Other' }, null] }, false],
    [{ causes: 'NamespaceTerminating' }, false],
    [undefined, false],
  ])('a refusal with the details %j is one of a namespace that is being deleted: %s', (details, expected) => {
    expect(isNamespaceTerminating(new KubeError({ status: 403, reason: 'Forbidden', message: '', details }))).toBe(expected);
  });

  it.each([
    [401, 'HR-KUBE-003'],
    [403, 'HR-KUBE-004'],
    [404, 'HR-KUBE-005'],
    [500, undefined],
  ])('%d of a list is explained by %s', (status, code) => expect(codeOf(error(status), true)).toBe(code));

  it('every entry of the table has a cause and a cure', () => {
    for (const entry of Object.values(ERRORS))
      expect(Math.min(entry.title.length, entry.cause.length, entry.cure.length)).toBeGreaterThan(10);
  });
});

describe('reflector state', () => {
  const watching: State = { phase: 'watching', resourceVersion: '5', strikes: 0 };
  const streamed: State = { phase: 'empty', how: 'stream', why: 'first' };
  const paged: State = { phase: 'empty', how: 'pages', why: 'first' };
  const paging: State = { phase: 'paging', continueToken: 'c' };

  it.each<[string, State, Parameters<typeof next>[1], State]>([
    ['a page with more behind it asks for the next', paged, { kind: 'page', continueToken: 'c' }, paging],
    [
      'the last page is watched from',
      paging,
      { kind: 'listed', resourceVersion: '7' },
      { phase: 'watching', resourceVersion: '7', strikes: 0 },
    ],
    [
      'a watch that the server ended resumes where it was',
      watching,
      { kind: 'ended', resourceVersion: '6' },
      { phase: 'watching', resourceVersion: '6', strikes: 0 },
    ],
    ['a silent one too', watching, { kind: 'idle', resourceVersion: '5' }, watching],
    ['410 lists anew', watching, { kind: 'gone' }, { phase: 'empty', how: 'stream', why: 'gone' }],
    ['410 in mid-list lists anew', paging, { kind: 'gone' }, { phase: 'empty', how: 'stream', why: 'gone' }],
    ['a WatchList cut before its end begins again', streamed, { kind: 'cut', resourceVersion: '' }, streamed],
    ['a WatchList that the server refuses becomes pages', streamed, { kind: 'unsupported' }, paged],
    ['a broken connection in mid-list asks for the same page', paging, { kind: 'cut', resourceVersion: '' }, paging],
    [
      'a refusal in mid-list lists anew',
      paging,
      { kind: 'refused', resourceVersion: '', reason: 'X' },
      { phase: 'empty', how: 'stream', why: 'failed' },
    ],
    ['a refusal of a watch is a strike', watching, { kind: 'refused', resourceVersion: '5', reason: 'X' }, { ...watching, strikes: 1 }],
    [
      'a strike after progress is the first again',
      { ...watching, strikes: 2 },
      { kind: 'refused', resourceVersion: '6', reason: 'X' },
      { phase: 'watching', resourceVersion: '6', strikes: 1 },
    ],
    [
      'the third strike lists anew',
      { ...watching, strikes: 2 },
      { kind: 'refused', resourceVersion: '5', reason: 'X' },
      { phase: 'empty', how: 'stream', why: 'bad-events' },
    ],
  ])('%s', (_name, state, ending, expected) => {
    expect(next(state, ending, true)).toEqual(expected);
  });

  it.each<[string, unknown, State, string]>([
    ['410 is gone', error(410), watching, 'gone'],
    ['an Expired event is gone, whatever its code', error(500, 'Expired'), watching, 'gone'],
    ['422 of a WatchList means that the server has none', error(422), streamed, 'unsupported'],
    ['422 of a watch is a refusal', error(422), watching, 'refused'],
    ['no connection is a cut', error(0, 'NetworkError'), watching, 'cut'],
    ['a bad event is a refusal', error(0, 'BadEvent'), watching, 'refused'],
    ['403 is a refusal', error(403), streamed, 'refused'],
    ['what is no KubeError is a cut', new Error('terminated'), watching, 'cut'],
  ])('%s', (_name, thrown, state, kind) => {
    expect(endingOf(thrown, state, state.phase === 'watching' ? '5' : '').kind).toBe(kind);
  });
});
