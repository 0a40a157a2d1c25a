// What the API server accepts and refuses, with the kinds and policies as they are committed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatewayProblems } from '../../operator/api/gateway-text.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import { NOT_SUPPORTED_YET } from '../../operator/api/not-supported-yet.ts';
import { specProblems } from '../../operator/api/validate.ts';
import { verifyCsr } from '../../operator/identity/csr.ts';
import { dictatedSubject } from '../../operator/identity/subject.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parseObjects, ROOT } from '../harness/manifests.ts';
import { waitFor } from '../harness/wait.ts';
import { BAD_DEVICES } from './bad-devices.ts';
import { BAD_INTERVENTIONS } from './bad-interventions.ts';
import type { BadManifest } from './bad-manifest.ts';
import { BAD_SEGMENTS } from './bad-segments.ts';
import { BAD_TOPICS } from './bad-topics.ts';
import { CSR, DIGEST, device, identity, intervention, ledger, NAMESPACE, NAMESPACES, segment, wave } from './manifests.ts';
import { NOT_SUPPORTED } from './not-supported.ts';
import { type ApiServer, installApi, type Manifest, openApi } from './server.ts';

const OPERATOR = 'system:serviceaccount:hedgerow-system:hedgerow';

let api: ApiServer;

beforeAll(async () => {
  const cluster = await sharedCluster();
  await installApi(cluster);
  api = await openApi(cluster);
  for (const namespace of [...NAMESPACES, berlin()]) await api.create(namespace);
});

afterAll(() => api.close());

describe('samples', () => {
  const samples = ['', 'smart-office'].flatMap((folder) => manifestsIn(join(ROOT, 'crds', 'samples', folder)));

  it.each(samples)('$file: $manifest.kind $manifest.metadata.name is accepted', async ({ manifest }) => {
    const { requestedBy } = (manifest.spec ?? {}) as { requestedBy?: string };
    const answer = await api.dryRun(manifest, requestedBy);
    // The namespace of the smart office is there already: this test made it.
    expect(answer.problems.filter((problem) => !problem.endsWith('already exists'))).toEqual([]);
    const kind = KINDS.find(({ resource }) => resource.kind === manifest.kind);
    if (kind !== undefined) expect(specProblems(kind, structuredClone(manifest.spec))).toEqual([]);
    const { name = '', namespace = '' } = manifest.metadata;
    if (manifest.kind === 'SegmentPolicy') expect(gatewayProblems({ ...(manifest.spec as object) }, `${name}.${namespace}`)).toEqual([]);
  });

  it.each(samples.filter(({ manifest }) => csrOf(manifest) !== undefined))(
    '$file: the request of $manifest.metadata.name passes the rules for requests',
    ({ manifest }) => {
      const { name = '', namespace = '' } = manifest.metadata;
      const { segment: of } = manifest.spec as { segment: string };
      const subject = dictatedSubject({ name, namespace, segment: of });
      if (subject === undefined) throw new Error('these names make no subject');
      expect(verifyCsr(csrOf(manifest), subject)).toMatchObject({ ok: true, keyKind: 'P-256' });
    },
  );

  it('there is one of every kind that people write and that works', () => {
    const kinds = new Set(samples.map(({ manifest }) => manifest.kind));
    expect([...kinds].sort()).toEqual(['Device', 'Intervention', 'Namespace', 'SegmentPolicy']);
  });
});

describe('a bad manifest is refused with its code and its cure', () => {
  const table: readonly BadManifest[] = [...BAD_DEVICES, ...BAD_SEGMENTS, ...BAD_TOPICS, ...BAD_INTERVENTIONS];

  it('there are enough of them', () => expect(table.length).toBeGreaterThanOrEqual(60));

  for (const [sentence, manifest, problems, onlyServer] of table) {
    it(`${manifest.kind}: ${sentence}`, async () => {
      const answer = await api.dryRun(manifest);
      expect(answer.problems).toEqual([...problems].sort());
      const kind = KINDS.find(({ resource }) => resource.kind === manifest.kind);
      if (kind === undefined) throw new Error(`no kind ${manifest.kind}`);
      // As it would stand in JSON: without fields that are undefined.
      const found = specProblems(kind, JSON.parse(JSON.stringify(manifest.spec)));
      if (onlyServer === undefined) expect(found).not.toEqual([]);
      else expect(found).toEqual([]);
    });
  }

  it('a private key is not in the answer', async () => {
    const marker = 'c2VjcmV0LW1hcmtlcg';
    const key = `-----BEGIN PRIVATE KEY-----\n${marker}\n-----END PRIVATE KEY-----\n`;
    const manifests = [
      identity({ csr: key }),
      identity({ csr: `${CSR}${key}` }),
      identity({ csr: marker }),
      identity({ csr: key, secretName: 'x' }),
      identity({ csr: key.repeat(400) }),
      identity({ enrollment: 'Managed', secretName: 'x', csr: key }),
      identity({ enrollment: 'Existing', existing: { certificate: key } }),
      identity({ enrollment: 'Existing', existing: { certificate: `${CSR.replaceAll(' REQUEST', '')}${key}` } }),
    ];
    for (const manifest of manifests) {
      const { status, text } = await api.dryRun(manifest);
      expect(status).toBe(422);
      expect(text).not.toContain(marker);
    }
  });
});

describe('what nothing honours yet is refused and not ignored', () => {
  const key = ({ kind, path }: { kind: string; path: string }): string => `${kind} ${path}`;

  it('every row has its manifest here', () => expect(Object.keys(NOT_SUPPORTED).sort()).toEqual(NOT_SUPPORTED_YET.map(key).sort()));

  it.each(NOT_SUPPORTED_YET.map((row) => ({ ...row, key: key(row) })))('$key', async ({ key, path, cure }) => {
    const manifest = NOT_SUPPORTED[key];
    if (manifest === undefined) throw new Error('no manifest');
    const { problems } = await api.dryRun(manifest);
    const messages = problems.map((problem) => problem.slice(problem.indexOf('HR-API-')));
    expect(messages).toContain(`HR-API-001: not supported yet: ${path}; ${cure}`);
    // Nothing else is wrong with it: the shape is the one of later releases.
    expect(messages.filter((message) => !message.startsWith('HR-API-001: '))).toEqual([]);
  });
});

describe('a change is judged as a whole', () => {
  it('an Intervention never changes', async () => {
    const made = await api.create(intervention());
    expect(made.status).toBe(201);
    const changed = await api.apply(intervention({ reason: 'another one' }), { dryRun: true });
    expect(changed.problems).toEqual(['spec: HR-API-011: an intervention is immutable: delete it and create another one']);
    expect((await api.remove(intervention())).status).toBe(200);
  });

  it('a Device does not move to a segment whose name is too long', async () => {
    expect((await api.create(device())).status).toBe(201);
    const moved = await api.apply(device({ segment: 'x'.repeat(55) }), { dryRun: true });
    expect(moved.problems).toEqual([expect.stringContaining('HR-API-002: ')]);
    await api.remove(device());
  });

  it('a SegmentPolicy does not rise above the trust of its namespace', async () => {
    expect((await api.create(segment())).status).toBe(201);
    expect((await api.apply(segment({ trust: 4 }), { dryRun: true })).problems).toEqual([expect.stringContaining('HR-API-014: ')]);
    expect((await api.apply(segment({ trust: 3 }), { dryRun: true })).problems).toEqual([]);
    await api.remove(segment());
  });

  it('a name that the API server makes is judged too', async () => {
    const made = (generateName: string): Promise<string[]> => {
      const { name: _, ...metadata } = device().metadata;
      return api.dryRun({ ...device(), metadata: { ...metadata, generateName } }).then(({ problems }) => problems);
    };
    expect(await made('thermo-')).toEqual([]);
    expect(await made('thermo.x-')).toEqual([expect.stringContaining('HR-API-002: ')]);
  });
});

describe("the operator's records", () => {
  const entries = { entries: { 'sha256:1': '{"device":"thermo-17.berlin"}' } };

  it('are written by the operator', async () => {
    expect((await api.create(ledger(entries), OPERATOR)).status).toBe(201);
    expect((await api.apply(ledger({}), { as: OPERATOR, dryRun: true })).problems).toEqual([]);
    expect((await api.dryRun(wave(), OPERATOR)).problems).toEqual([]);
  });

  it('are changed, emptied and deleted by nobody else, not even the administrator', async () => {
    const refused = [expect.stringMatching(/^HR-API-013: certificateledgers are written by the operator only/)];
    expect((await api.apply(ledger({}))).problems).toEqual(refused);
    expect(
      (await api.apply({ ...ledger(), spec: undefined, status: { observedGeneration: 1 } }, { subresource: 'status' })).problems,
    ).toEqual(refused);
    expect((await api.remove(ledger())).problems).toEqual(refused);
    expect((await api.get(ledger())).object.spec).toEqual(entries);
  });

  it('go with their namespace, which nothing of ours holds back', async () => {
    const namespace = 'api-table-gone';
    await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    expect((await api.create(ledger(entries, { namespace }), OPERATOR)).status).toBe(201);
    const { kubectl } = await sharedCluster();
    const { code, stderr } = await kubectl(['delete', 'namespace', namespace, '--timeout=60s']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    await api.remove(ledger({}, { namespace: NAMESPACE }), OPERATOR);
  });

  it('a page of the largest size is stored', async () => {
    const entry = JSON.stringify({ device: 'x'.repeat(2020) });
    const full = {
      entries: Object.fromEntries(Array.from({ length: 512 }, (_, n) => [`sha256:${n.toString().padStart(64, '0')}`, entry])),
    };
    const page = ledger(full, { name: 'page-full' });
    expect((await api.create(page, OPERATOR)).problems).toEqual([]);
    expect((await api.apply(page, { as: OPERATOR, dryRun: true })).problems).toEqual([]);
    await api.remove(page, OPERATOR);
  });
});

describe('the driver of a rollout', () => {
  const DRIVER = `${OPERATOR}-rollout`;
  const firmware = { app: { version: '2.0.0', digest: DIGEST, result: 'Confirmed' } };
  const conditions = [{ type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: '2026-11-26T00:00:00Z' }];
  const counts = { phase: 'Running', counts: {} };
  const says = (manifest: Manifest, status: object, as = DRIVER) =>
    api.apply({ ...manifest, spec: undefined, status }, { as, subresource: 'status', manager: 'driver', dryRun: true });
  const beyond = [expect.stringMatching(/^HR-API-029: /)];

  beforeAll(async () => {
    expect((await api.create(device())).problems).toEqual([]);
    expect((await api.create(wave(), OPERATOR)).problems).toEqual([]);
    // A policy is compiled a moment after it was stored.
    for (const [manifest, status] of [
      [device(), { conditions }],
      [wave(), { phase: 'Completed' }],
    ] as const)
      await waitFor('the policy', async () => ((await says(manifest, status)).problems.length > 0 ? true : undefined));
  });
  afterAll(async () => {
    for (const manifest of [device(), wave()]) await api.remove(manifest, OPERATOR);
  });

  it('says what runs on a Device, and what it counts of a wave', async () => {
    expect((await says(device(), { firmware })).problems).toEqual([]);
    expect((await says(wave(), { shards: [{ index: 0, ...counts }] })).problems).toEqual([]);
  });

  it.each<[string, Manifest, object]>([
    ['the conditions of a Device', device(), { firmware, conditions }],
    ['the certificate of a Device', device(), { certificate: 'x' }],
    ['the identity of a Device', device(), { firmware, identity: { serialNumber: '01' } }],
    ['the phase of a wave', wave(), { shards: [{ index: 0, ...counts }], phase: 'Completed' }],
    ['the end of a wave', wave(), { endedAt: '2026-11-26T00:00:00Z' }],
    ['the sums of a wave', wave(), { counts: {} }],
  ])('does not write %s, even with the rights of an administrator', async (_what, manifest, status) => {
    expect((await says(manifest, status)).problems).toEqual(beyond);
    expect((await says(manifest, status, OPERATOR)).problems).toEqual([]);
  });

  it('takes nothing away either', async () => {
    const all = { ...device(), spec: undefined, status: { firmware, conditions } };
    expect((await api.apply(all, { as: OPERATOR, subresource: 'status', manager: 'driver' })).problems).toEqual([]);
    expect((await says(device(), { firmware })).problems).toEqual(beyond);
    expect((await says(device(), { conditions })).problems).toEqual([]);
  });

  it('makes, changes and deletes no wave', async () => {
    const refused = [expect.stringMatching(/^HR-API-013: firmwarewaves are written by the operator only/)];
    const { name: _, ...metadata } = wave().metadata;
    expect((await api.dryRun({ ...wave(), metadata: { ...metadata, name: 'another' } }, DRIVER)).problems).toEqual(refused);
    expect((await api.apply(wave(), { as: DRIVER, dryRun: true })).problems).toEqual(refused);
    expect((await api.remove(wave(), DRIVER)).problems).toEqual(refused);
  });
});

describe('Interventions that the operator makes by itself', () => {
  const own = (spec: object = {}, name = 'thermo-17-limit-exceeded') => intervention({ requestedBy: OPERATOR, ...spec }, { name });

  it('are Quarantines of a Device under the one name for it', async () => {
    expect((await api.dryRun(own(), OPERATOR)).problems).toEqual([]);
  });

  it.each([
    ['a Revoke', own({ action: 'Revoke' })],
    ['a Rotate', own({ action: 'Rotate', compromised: true })],
    ['under another name', own({}, 'ticket-4711')],
    ['of another Device', own({ target: { kind: 'Device', name: 'thermo-18' } })],
  ])('and nothing else: %s is refused', async (_name, manifest) => {
    expect((await api.dryRun(manifest, OPERATOR)).problems).toEqual([expect.stringMatching(/^HR-API-027: /)]);
  });

  it('bind nobody else', async () => {
    expect((await api.dryRun(intervention({ action: 'Revoke' }))).problems).toEqual([]);
  });
});

function manifestsIn(dir: string): { file: string; manifest: Manifest }[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) =>
      parseObjects(readFileSync(join(dir, file), 'utf8')).map((manifest) => ({ file, manifest: manifest as unknown as Manifest })),
    );
}

const csrOf = (manifest: Manifest): string | undefined => (manifest.spec as { identity?: { csr?: string } } | undefined)?.identity?.csr;

/** As the sample makes it: the other samples live in it. */
function berlin(): Manifest {
  const [first] = manifestsIn(join(ROOT, 'crds', 'samples', 'smart-office'));
  if (first?.manifest.kind !== 'Namespace') throw new Error('the sample begins with its namespace');
  return first.manifest;
}
