// What people see of the kinds: `kubectl explain` of every field, the columns of `kubectl get`, and that a status is the operator's to write.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { admissionOf, DEFAULT_OPERATOR_USER } from '../../operator/api/admission.ts';
import { objectSchema, type Structural } from '../../operator/api/crd.ts';
import { KINDS } from '../../operator/api/kinds.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parallel } from '../harness/parallel.ts';
import { waitFor } from '../harness/wait.ts';
import { CSR, device, identity, intervention, NAMESPACE, NAMESPACES, segment } from './manifests.ts';
import { type ApiServer, installApi, type Manifest, openApi } from './server.ts';

let cluster: Cluster;
let api: ApiServer;

beforeAll(async () => {
  cluster = await sharedCluster();
  await installApi(cluster);
  api = await openApi(cluster);
  for (const namespace of NAMESPACES) await api.create(namespace);
});

afterAll(() => api.close());

/** Described by the API server itself. */
const OF_THE_SERVER = ['apiVersion', 'kind', 'metadata'];

type OpenApi = { components: { schemas: Record<string, Served> } };
type Served = {
  description?: string;
  properties?: Record<string, Served>;
  items?: Served;
  additionalProperties?: Served;
  allOf?: Served[];
};

describe('kubectl explain', () => {
  it('has a description for every field of every kind, as the API server serves them', async () => {
    const served = await api.read<OpenApi>('/openapi/v3/apis/hedgerow.dev/v1alpha1');
    let fields = 0;
    const bare: string[] = [];
    const walk = (schema: Served, path: string): void => {
      for (const [name, child] of Object.entries(schema.properties ?? {})) {
        if (path.endsWith('.metadata') || OF_THE_SERVER.includes(name)) continue;
        fields += 1;
        if ((child.description ?? '').length < 8) bare.push(`${path}.${name}`);
        walk(child, `${path}.${name}`);
      }
      if (schema.items !== undefined) walk(schema.items, `${path}[]`);
      if (typeof schema.additionalProperties === 'object') walk(schema.additionalProperties, `${path}{}`);
    };
    for (const { resource } of KINDS) {
      const schema = served.components.schemas[`dev.hedgerow.v1alpha1.${resource.kind}`];
      if (schema === undefined) throw new Error(`${resource.kind} is not served`);
      expect(schema.description).toMatch(/^An? /);
      walk(schema, resource.kind);
    }
    expect(bare).toEqual([]);
    expect(fields).toBeGreaterThan(300);
  });

  it('prints them: every branch of what people write', async () => {
    const branches = KINDS.flatMap((kind) =>
      branchesOf(objectSchema(kind), kind.resource.plural).map((path) => ({ path, schema: at(objectSchema(kind), path) })),
    );
    const wrong: string[] = [];
    await parallel(branches, 4, async ({ path, schema }) => {
      const { stdout, stderr, code } = await cluster.kubectl(['explain', path, '--api-version=hedgerow.dev/v1alpha1']);
      // The text is wrapped at some width: compare without white space.
      const seen = stdout.replaceAll(/\s+/g, '');
      const fields = Object.entries(schema.properties ?? {}).filter(([name]) => !OF_THE_SERVER.includes(name));
      const missing = [schema, ...fields.map(([, field]) => field)]
        .map(({ description = '' }) => description)
        .filter((description) => !seen.includes(description.replaceAll(/\s+/g, '')));
      if (code !== 0 || missing.length > 0) wrong.push(`${path}: ${stderr}${missing.join(' | ')}`);
    });
    expect(wrong).toEqual([]);
    expect(branches.length).toBeGreaterThan(20);
  });
});

describe('the API server', () => {
  it('has no objection to a schema', async () => {
    for (const { resource } of KINDS) {
      const { object } = await api.get({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `${resource.plural}.${resource.group}` },
      });
      const { conditions } = object.status as { conditions: { type: string; status: string }[] };
      expect(Object.fromEntries(conditions.map(({ type, status }) => [type, status])), resource.kind).toEqual({
        NamesAccepted: 'True',
        Established: 'True',
      });
    }
  });

  it('finds no mistake of types in an admission policy', async () => {
    type Policy = { metadata: { name: string; generation: number }; status?: { observedGeneration?: number; typeChecking?: object } };
    const policies = await waitFor('the policies to be checked', async () => {
      const { items } = await api.read<{ items: Policy[] }>('/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies');
      const ours = items.filter(({ metadata }) => metadata.name.startsWith('hedgerow-'));
      return ours.every(({ metadata, status }) => status?.observedGeneration === metadata.generation) ? ours : undefined;
    });
    expect(policies.map(({ metadata }) => metadata.name).sort()).toEqual([...admissionOf(DEFAULT_OPERATOR_USER).keys()].sort());
    expect(policies.map(({ status }) => status?.typeChecking)).toEqual(policies.map(() => ({})));
  });
});

describe('kubectl get', () => {
  it('shows of a Device what a person asks first', async () => {
    await put(identity({ csr: CSR }), {
      conditions: [condition('Ready', 'False', 'CsrMalformed', 'HR-ID-004: no request')],
      identity: { notAfter: '2026-12-25T00:00:00Z' },
    });
    const [row] = await table('devices', 'thermo-17');
    expect(row).toMatchObject({
      NAME: 'thermo-17',
      SEGMENT: 'office-sensors',
      READY: 'False',
      REASON: 'CsrMalformed',
      EXPIRES: '2026-12-25T00:00:00Z',
      LIFECYCLE: 'Active',
      AGE: expect.stringMatching(/^\d+s$/),
    });
    const [wide] = await table('dev', 'thermo-17', '-o', 'wide');
    expect(wide).toMatchObject({ ENROLLMENT: 'CSR', MESSAGE: 'HR-ID-004: no request' });
    await api.remove(device());
  });

  it('shows of a SegmentPolicy whether it holds and how much it is', async () => {
    await put(segment({ function: 'office-sensor' }), {
      conditions: [
        condition('Ready', 'True', 'Ready', '2 conduits in force'),
        condition('GapsPresent', 'True', 'NotProbed', 'see status.gaps'),
      ],
      counts: { devices: 40, conduits: 2 },
    });
    const [row] = await table('seg', 'office-sensors', '-o', 'wide');
    expect(row).toMatchObject({
      NAME: 'office-sensors',
      TRUST: '2',
      READY: 'True',
      DEVICES: '40',
      CONDUITS: '2',
      GAPS: 'True',
      FUNCTION: 'office-sensor',
    });
    await api.remove(segment());
  });

  it('shows of an Intervention who did what to whom', async () => {
    await put(intervention(), { conditions: [condition('Applied', 'True', 'Applied', 'done')] });
    const [row] = await table('iv', 'ticket-4711');
    expect(row).toMatchObject({ ACTION: 'Quarantine', KIND: 'Device', TARGET: 'thermo-17', APPLIED: 'True', BY: 'admin' });
    await api.remove(intervention());
  });

  it('finds by segment, lifecycle, action and target, and all kinds by their category', async () => {
    await api.create(device());
    await api.create(device({ segment: 'gateways', lifecycle: 'Revoked' }, { name: 'gateway-1' }));
    const names = async (selector: string): Promise<string> =>
      (await run('get', 'devices', '-o', 'name', `--field-selector=${selector}`)).trim();
    expect(await names('spec.segment=office-sensors')).toBe('device.hedgerow.dev/thermo-17');
    expect(await names('spec.lifecycle=Revoked')).toBe('device.hedgerow.dev/gateway-1');
    await api.create(intervention());
    expect(await run('get', 'iv', '-o', 'name', '--field-selector=spec.action=Quarantine,spec.target.name=thermo-17')).toContain(
      'ticket-4711',
    );
    const all = await run('get', 'hedgerow', '-o', 'name');
    expect(all).toContain('device.hedgerow.dev/thermo-17');
    expect(all).toContain('intervention.hedgerow.dev/ticket-4711');
    for (const made of [device(), device({}, { name: 'gateway-1' }), intervention()]) await api.remove(made);
  });
});

describe('a status', () => {
  it('comes by the status subresource only', async () => {
    const status = { observedGeneration: 7, certificate: 'forged' };
    const made = await api.create({ ...device(), status });
    expect(made.status).toBe(201);
    expect(made.object.status).toBeUndefined();
    const applied = await api.apply({ ...device(), status });
    expect(applied.object.status).toBeUndefined();
    const written = await api.apply({ ...device(), status }, { subresource: 'status' });
    expect(written.object.status).toEqual(status);
    await api.remove(device());
  });

  it('does not move the generation, and its writer cannot touch the spec', async () => {
    await api.create(device());
    const { object } = await api.apply(
      { ...device({ segment: 'gateways' }), status: { observedGeneration: 1 } },
      { subresource: 'status' },
    );
    expect(object.spec).toMatchObject({ segment: 'office-sensors' });
    expect(object.metadata.generation).toBe(1);
    await api.remove(device());
  });

  it('has one condition of a type, and each writer keeps those that it wrote', async () => {
    await api.create(device());
    const write = (manager: string, type: string, reason: string): Promise<unknown> =>
      api.apply({ ...device(), status: { conditions: [condition(type, 'True', reason, '')] } }, { subresource: 'status', manager });
    await write('one', 'Ready', 'First');
    await write('one', 'Ready', 'Second');
    await write('another', 'Seen', 'Elsewhere');
    const { object } = await api.get(device());
    const { conditions } = object.status as { conditions: { type: string; reason: string }[] };
    expect(conditions.map(({ type, reason }) => [type, reason]).sort()).toEqual([
      ['Ready', 'Second'],
      ['Seen', 'Elsewhere'],
    ]);
    await api.remove(device());
  });
});

describe('defaults', () => {
  it.each([
    [
      'a Device of one line',
      device(),
      { segment: 'office-sensors', identity: { enrollment: 'CSR', duration: '720h' }, lifecycle: 'Active' },
    ],
    ['an identity of one line', identity({ csr: CSR }), { identity: { enrollment: 'CSR', duration: '720h', csr: CSR } }],
    ['an empty SegmentPolicy', segment(), { trust: 2, intraSegment: 'Isolated', egress: 'Aggregates', mode: 'Enforce' }],
  ] as [string, Manifest, object][])('of %s are stored, so that what holds can be read', async (_what, manifest, spec) => {
    const { object, problems } = await api.dryRun(manifest);
    expect(problems).toEqual([]);
    expect(object.spec).toMatchObject(spec);
  });

  it('stay out of lists, which GitOps compares as a whole', async () => {
    const lists = {
      topics: { publish: [{ topic: 'dt/{segment}/{device}/x' }], subscribe: [{ topic: 'cmd/{segment}/{device}/x' }] },
      conduits: [{ name: 'up', to: { segment: 'gateways' }, ports: [{ port: 443 }] }],
      acceptFrom: [{ segment: 'gateways', ports: [{ port: 443 }] }],
    };
    const { object } = await api.dryRun(segment(lists));
    const { topics, conduits, acceptFrom } = object.spec as Record<string, unknown>;
    expect({ topics, conduits, acceptFrom }).toEqual(lists);
  });
});

const condition = (type: string, status: string, reason: string, message: string): object => ({
  type,
  status,
  reason,
  message,
  lastTransitionTime: '2026-11-25T00:00:00Z',
});

async function put(manifest: Manifest, status: object): Promise<void> {
  const made = await api.create(manifest);
  expect(made.problems).toEqual([]);
  const written = await api.apply({ ...manifest, status }, { subresource: 'status' });
  expect(written.problems).toEqual([]);
}

async function run(...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await cluster.kubectl([...args, '-n', NAMESPACE]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** Rows by column name, cut where the head of each column begins. */
async function table(...args: string[]): Promise<Record<string, string>[]> {
  const [head = '', ...rows] = (await run('get', ...args)).trimEnd().split('\n');
  const columns = [...head.matchAll(/(\S+(?: \S+)*)(?:\s{2,}|$)/g)].map((match) => ({ name: match[1] ?? '', at: match.index }));
  return rows.map((row) => Object.fromEntries(columns.map(({ name, at }, n) => [name, row.slice(at, columns[n + 1]?.at).trim()])));
}

/** Paths of `kubectl explain` to everything below spec and status that has fields. */
function branchesOf(schema: Structural, path: string): string[] {
  const node = schema.items ?? schema;
  const inside = Object.entries(node.properties ?? {}).filter(([name]) => !OF_THE_SERVER.includes(name));
  if (inside.length === 0) return [];
  return [path, ...inside.flatMap(([name, child]) => branchesOf(child, `${path}.${name}`))];
}

function at(schema: Structural, path: string): Structural {
  const found = path
    .split('.')
    .slice(1)
    .reduce<Structural | undefined>((node, name) => (node?.items ?? node)?.properties?.[name], schema);
  if (found === undefined) throw new Error(path);
  const { description } = found;
  return { ...(found.items ?? found), ...(description === undefined ? {} : { description }) };
}
