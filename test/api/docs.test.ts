// What the documentation says, tried: its manifests, its codes and its links.
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KINDS } from '../../operator/api/kinds.ts';
import { specProblems } from '../../operator/api/validate.ts';
import { verifyCsr } from '../../operator/identity/csr.ts';
import { dictatedSubject } from '../../operator/identity/subject.ts';
import { ERROR_TABLES } from '../../scripts/generate/errors.ts';
import { sharedCluster } from '../controlplane/shared.ts';
import { parseObjects, ROOT } from '../harness/manifests.ts';
import { waitFor } from '../harness/wait.ts';
import { segment } from './manifests.ts';
import { type ApiServer, installApi, type Manifest, openApi } from './server.ts';

const PAGES = [...globSync('docs/**/*.md', { cwd: ROOT }), 'README.md'].sort();
const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

let api: ApiServer;

beforeAll(async () => {
  const cluster = await sharedCluster();
  await installApi(cluster);
  api = await openApi(cluster);
  const labels = { 'hedgerow.dev/max-trust': '4' };
  // Another file may have made it without the label, and the admission policy reads namespaces from a cache.
  await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'berlin', labels } });
  await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'paris' } });
  const trusted = segment({ trust: 4 }, { namespace: 'berlin' });
  await waitFor('the label to count', async () => ((await api.dryRun(trusted)).problems.length === 0 ? true : undefined));
});

afterAll(() => api.close());

describe('the examples of the documentation', () => {
  const examples = PAGES.flatMap((page) => examplesIn(page).map((manifest) => ({ page, manifest })));

  it('are found', () =>
    expect(new Set(examples.map(({ manifest }) => manifest.kind))).toEqual(
      new Set(['Device', 'SegmentPolicy', 'Intervention', 'FirmwareRelease']),
    ));

  it.each(examples)('$page: $manifest.kind $manifest.metadata.name is good', async ({ manifest }) => {
    const { requestedBy, author } = manifest.spec as { requestedBy?: string; author?: string };
    const { problems } = await api.dryRun(manifest, requestedBy ?? author);
    expect(problems).toEqual([]);
    const kind = KINDS.find(({ resource }) => resource.kind === manifest.kind);
    expect(kind && specProblems(kind, structuredClone(manifest.spec))).toEqual([]);
  });

  const refused = PAGES.flatMap((page) => examplesIn(page, 'yaml refused').map((manifest) => ({ page, manifest })));
  it.each(refused)('$page: $manifest.kind $manifest.metadata.name is refused, as the page says', async ({ manifest }) => {
    expect((await api.dryRun(manifest)).problems).toEqual([expect.stringMatching(/HR-API-\d{3}/)]);
  });

  it.each(examples.filter(({ manifest }) => csrOf(manifest) !== undefined))(
    '$page: the request of $manifest.metadata.name is one',
    ({ manifest }) => {
      const { name = '', namespace = '' } = manifest.metadata;
      const subject = dictatedSubject({ name, namespace, segment: (manifest.spec as { segment: string }).segment });
      if (subject === undefined) throw new Error('these names make no subject');
      expect(verifyCsr(csrOf(manifest), subject)).toMatchObject({ ok: true });
    },
  );
});

describe('error codes', () => {
  it('of every room are in the reference', () => {
    const rooms = globSync('{operator,edge-k3s,cloud}/*/errors.ts', { cwd: ROOT }).map((file) => basename(dirname(file)));
    expect([...ERROR_TABLES.keys()].sort()).toEqual(rooms.sort());
  });

  const CODE = /\bHR-[A-Z]+-\d{3}\b/g;
  const codesIn = (file: string): string[] => text(file).match(CODE) ?? [];
  const sources = globSync('{operator,scripts,bin,charts,edge-k3s,cloud}/**/*.{ts,mjs,yaml,tpl,txt}', { cwd: ROOT }).filter(
    (file) => !/\.test\.ts$|\/testing\//.test(file),
  );

  it('that are mentioned anywhere are in a table', () => {
    const known = new Set([...ERROR_TABLES.values()].flatMap((table) => Object.keys(table)));
    // Tests make up codes for things of their own.
    const unknown = [...PAGES, 'CHANGELOG.md', ...sources].flatMap((file) =>
      codesIn(file)
        .filter((code) => !known.has(code))
        .map((code) => `${file}: ${code}`),
    );
    expect(unknown).toEqual([]);
    expect(known.size).toBeGreaterThan(60);
  });

  it('that are in a table are given by something', () => {
    const given = new Map<string, number>();
    for (const file of sources) for (const code of codesIn(file)) given.set(code, (given.get(code) ?? 0) + 1);
    const codes = [...ERROR_TABLES.values()].flatMap((table) => Object.keys(table));
    // Once is the table itself.
    expect(codes.filter((code) => (given.get(code) ?? 0) < 2)).toEqual([]);
  });

  it('are unique, stable in form and have a cause and a cure that fit into a line', () => {
    const seen = new Set<string>();
    for (const [room, table] of ERROR_TABLES)
      for (const [code, { title, cause, cure }] of Object.entries(table)) {
        expect(seen.has(code), code).toBe(false);
        seen.add(code);
        expect(code).toMatch(/^HR-(API|ID|BRK|SEG|IV|KUBE|RUN|CLI|EST|CRL|TRU|LIM|PRB|FW|GW|CC)-\d{3}$/);
        expect(title.length, code).toBeGreaterThan(3);
        for (const line of [cause, cure]) expect(line.length, `${room} ${code}`).toBeGreaterThan(5);
      }
  });
});

describe('links', () => {
  it('lead to files and headings that exist', () => {
    const broken = PAGES.flatMap((page) =>
      [
        ...text(page)
          .replaceAll(/```[\s\S]*?```/g, '')
          .matchAll(/\]\(([^)\s]+)\)/g),
      ].flatMap(([, target = '']) => {
        if (/^[a-z]+:/.test(target)) return [];
        const [path = '', anchor] = target.split('#');
        const file = path === '' ? page : join(dirname(page), path);
        const files = globSync(file, { cwd: ROOT });
        if (files.length === 0) return [`${page}: ${target}`];
        return anchor === undefined || anchorsOf(file).includes(anchor) ? [] : [`${page}: ${target}`];
      }),
    );
    expect(broken).toEqual([]);
  });
});

/** Manifests of ours in the ```yaml blocks of a page; those of ```yaml refused are wrong on purpose. */
function examplesIn(page: string, language = 'yaml'): Manifest[] {
  return [...text(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))]
    .flatMap(([, block = '']) => parseObjects(block))
    .filter(({ apiVersion }) => apiVersion?.startsWith('hedgerow.dev/'))
    .map((object) => object as unknown as Manifest);
}

const csrOf = (manifest: Manifest): string | undefined => (manifest.spec as { identity?: { csr?: string } }).identity?.csr;

/** As GitHub makes them of headings, and those that a page names itself. */
function anchorsOf(page: string): string[] {
  const named = [...text(page).matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id);
  const headings = [...text(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return [...headings, ...named];
}
