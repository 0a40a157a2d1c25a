// The rules as the API server runs them against the same rules as code here: one language, whoever judges.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceKind } from '../../operator/api/device.ts';
import { durationMs } from '../../operator/api/duration.ts';
import { LABEL_PATTERN } from '../../operator/api/names.ts';
import { segmentPolicyKind } from '../../operator/api/segment-policy.ts';
import { anyTopic } from '../../operator/api/testing/topics.ts';
import { MAX_TOPIC_LENGTH, type TopicAction, topicProblem } from '../../operator/api/topic.ts';
import { specProblems } from '../../operator/api/validate.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { CSR, device, identity, NAMESPACE, NAMESPACES, segment } from './manifests.ts';
import { type ApiServer, installApi, openApi } from './server.ts';

let api: ApiServer;

beforeAll(async () => {
  const cluster = await sharedCluster();
  await installApi(cluster);
  api = await openApi(cluster);
  for (const namespace of NAMESPACES) await api.create(namespace);
});

afterAll(() => api.close());

const numRuns = 40;
/** As many topics as a policy may have: one request asks for all of them. */
const TOPICS = 32;

describe.each<TopicAction>(['publish', 'subscribe'])('topics to %s', (action) => {
  it('are refused by the API server exactly where topicProblem finds something, with its code', async () => {
    // Longer ones the schema refuses before any rule is asked; agg/, alert/ and raw/ belong to one namespace, which topicProblem does not know.
    const topic = anyTopic().filter(
      (text) => text !== '' && text.length <= MAX_TOPIC_LENGTH && text.isWellFormed() && !/^(agg|alert|raw)\//.test(text),
    );
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(topic, { minLength: TOPICS / 2, maxLength: TOPICS }), async (filters) => {
        const { problems } = await api.dryRun(
          segment({ intraSegment: 'Allow', topics: { [action]: filters.map((filter) => ({ topic: filter })) } }),
        );
        for (const [n, filter] of filters.entries()) {
          const own = problems.filter((problem) => problem.startsWith(`spec.topics.${action}[${n}].topic: `));
          const expected = topicProblem(filter, action);
          expect({ filter, refused: own.length > 0 }).toEqual({ filter, refused: expected !== undefined });
          if (expected !== undefined)
            expect(own.some((problem) => problem.endsWith(expected.message) && problem.includes(expected.code))).toBe(true);
        }
      }),
      { numRuns },
    );
  });
});

describe('durations and names', () => {
  it('a duration is accepted exactly when it reads as one between 10 s and five years', async () => {
    const near = fc.string({ unit: fc.constantFrom(...'0123456789hms.-d'), minLength: 2, maxLength: 9 });
    const good = fc.tuple(fc.nat(50_000), fc.nat(99), fc.nat(99)).map(([h, m, s]) => `${h}h${m}m${s}s`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(near, good, fc.constantFrom('10s', '9s', '43800h', '43800h1s')), async (duration) => {
        const { problems } = await api.dryRun(identity({ csr: CSR, duration }));
        const ms = durationMs(duration);
        const good = ms !== undefined && ms >= 10_000 && ms <= 43_800 * 3_600_000;
        expect({ duration, problems: problems.length > 0 }).toEqual({ duration, problems: !good });
        for (const problem of problems) expect(problem).toMatch(/^spec\.identity\.duration: HR-API-007: /);
      }),
      { numRuns: 2 * numRuns },
    );
  });

  it('a segment is accepted exactly when it is a label that fits beside the namespace', async () => {
    const unit = fc.constantFrom(...'az09-', 'A', '.', '_', '+', '#', '/', 'ä', ' ');
    const label = new RegExp(LABEL_PATTERN);
    const name = fc.oneof(fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,66}[a-z0-9])?$/), fc.string({ unit, minLength: 1, maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const { problems } = await api.dryRun(device({ segment: text }));
        const good = label.test(text) && `${text}.${NAMESPACE}`.length <= 64;
        expect({ text, refused: problems.length > 0 }).toEqual({ text, refused: !good });
      }),
      { numRuns: 2 * numRuns },
    );
  });
});

describe('what the validators refuse, the API server refuses', () => {
  /** Some right, some wrong, some of another type; undefined leaves the field out. */
  const some = (...values: unknown[]): fc.Arbitrary<unknown> => fc.constantFrom(undefined, undefined, ...values);
  const withoutUndefined = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

  it('of Devices', async () => {
    const spec = fc.record({
      segment: fc.oneof({ weight: 6, arbitrary: fc.constant('office-sensors') }, fc.constantFrom('', 'Office', 7)),
      hardware: some({}, { model: 'tmp-2', serial: 'A 1/2' }, { model: '' }, { serial: ' x' }, { colour: 'red' }, 'tmp-2'),
      identity: some(
        {},
        { csr: CSR },
        { enrollment: 'Managed', secretName: 'x' },
        { duration: '1d' },
        { issuerRef: { name: 'ca' } },
        { issuerRef: {} },
        [],
      ),
      lifecycle: some('Active', 'Revoked', 'active', true),
      firmware: some({}, { hold: false }, { hold: 'false' }, { pin: '' }),
      grants: some([], {}),
      extra: fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, fc.constant(1)),
    });
    await agree(
      spec.map(withoutUndefined),
      (value) => specProblems(deviceKind, value),
      (value) => api.dryRun({ ...device(), spec: value }),
    );
  });

  it('of SegmentPolicies', async () => {
    const port = fc.constantFrom(
      { port: 1 },
      { port: 65_535, protocol: 'UDP' },
      { port: 0 },
      { port: '80' },
      { protocol: 'TCP' },
      { port: 1.5 },
    );
    const spec = fc.record({
      trust: some(0, 2, 3, 5, -1, 2.5, '2'),
      intraSegment: some('Allow', 'Isolated', 'Some'),
      workloads: some([{ podSelector: { matchLabels: { app: 'x' } } }], [{}], [{ podSelector: { matchLabels: { app: 7 } } }]),
      topics: some(
        {},
        { publish: [{ topic: 'dt/{segment}/{device}/x', qosMax: 2 }] },
        { publish: [{ topic: '#' }] },
        { listen: [] },
        { subscribe: [{}] },
      ),
      conduits: fc.option(
        fc.array(
          fc.record({
            name: fc.constantFrom('a', 'b', 'C'),
            to: fc.constantFrom({ segment: 'x' }, { cidr: '192.0.2.0/24' }, {}, { cidr: '' }),
            ports: fc.array(port, { maxLength: 2 }),
            expires: some('2026-12-01T00:00:00Z', '2026-12-01', 0),
          }),
          { maxLength: 2 },
        ),
        { nil: undefined },
      ),
    });
    await agree(
      spec.map(withoutUndefined),
      (value) => specProblems(segmentPolicyKind, value),
      (value) => api.dryRun({ ...segment(), spec: value }),
    );
  });

  async function agree(
    specs: fc.Arbitrary<unknown>,
    validate: (spec: unknown) => string[],
    ask: (spec: unknown) => Promise<{ status: number; problems: string[] }>,
  ): Promise<void> {
    const seen = { refused: 0, accepted: 0 };
    await fc.assert(
      fc.asyncProperty(specs, async (spec) => {
        const found = validate(structuredClone(spec));
        const answer = await ask(spec);
        if (found.length > 0) expect({ spec, status: answer.status }).not.toEqual({ spec, status: 201 });
        // And the other way round: what only the server refuses are its rules across fields, which begin with a code, and duplicates.
        else for (const problem of answer.problems) expect(problem).toMatch(/HR-API-\d{3}: |Duplicate value/);
        seen[answer.status === 201 ? 'accepted' : 'refused'] += 1;
      }),
      { numRuns: 4 * numRuns },
    );
    // Both occur often enough to mean something.
    expect(seen.refused).toBeGreaterThan(20);
    expect(seen.accepted).toBeGreaterThan(5);
  }
});
