// What the page shows, from a real store; and the page itself, run on a few lines that stand for a browser.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import type { DuckDBConnection } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EgressMessage, topicOf } from '../../../operator/api/egress.ts';
import { accept } from '../accept.ts';
import { openStore, type Store } from '../store.ts';
import { alert, bytesOf, health, ONE_OF_EACH, security, T0, trend } from '../testing/messages.ts';
import { type Overview, overview } from './overview.ts';
import { isOwnName, policyOf } from './server.ts';
import { inWords } from './words.ts';

const NOW = T0 + 600_000;
const HTML = readFileSync(new URL('page.html', import.meta.url), 'utf8');

let home: string;
let store: Store;
let reader: DuckDBConnection;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hedgerow-page-'));
  store = await openStore(join(home, 'store.duckdb'));
  reader = await store.reader();
});
afterEach(async () => {
  reader.closeSync();
  store.close();
  await rm(home, { recursive: true, force: true });
});

async function put(...messages: EgressMessage[]): Promise<void> {
  const read = messages.map((message) => accept(topicOf(message), bytesOf(message)));
  const rows = read.flatMap((one) => (one.ok ? [one.row] : []));
  expect(rows.length).toBe(messages.length);
  await store.write({ rows, erased: [], refused: [{ site: 'berlin', code: 'HR-CC-102', count: 2 }], nowMs: NOW });
}
const look = (change: { site?: string; hours?: number } = {}): Promise<Overview> =>
  overview(reader, { site: '', hours: 24, nowMs: NOW, ...change });

describe('the overview', () => {
  it('of an empty store has nothing', async () => {
    const all = await look();
    expect(Object.values(all).filter((value) => Array.isArray(value) && value.length > 0)).toEqual([]);
  });

  it('shows each type where it belongs, and what was lost, erased and not taken', async () => {
    await put(...ONE_OF_EACH);
    await store.note({ code: 'HR-CC-203', says: 'the session is gone', atMs: NOW });
    const all = await look();
    expect(all.sites).toEqual([
      {
        ...{ site: 'berlin', heardMs: NOW, alerts: 1, lost: 120, refused: 2 },
        health: [
          ['devices', 40],
          ['heard', 38],
          ['% of the spool', 25],
          ['small groups held back', 2],
          ['days of certificate', 21],
        ],
      },
    ]);
    expect(all.trends).toEqual([
      {
        ...{ site: 'berlin', segment: 'app', group: 'hall', metric: 'temperature:celsius' },
        points: [{ fromMs: T0, toMs: T0 + 60_000, devices: 5, mean: 21.5, low: 20, high: 23 }],
      },
    ]);
    expect(all.alerts).toMatchObject([
      { device: 'p-2', says: 'temperature:celsius is at a level that it hardly ever has (one reading in 1,600,000)' },
    ]);
    expect(all.security).toMatchObject([{ kind: 'ReplayDetected', count: 12 }]);
    expect(all.losses).toMatchObject([{ class: 'trend', reason: 'bound', count: 120 }]);
    expect(all.erased).toMatchObject([{ device: 'p-1' }]);
    expect(all.refused).toMatchObject([{ site: 'berlin', code: 'HR-CC-102', count: 2 }]);
    expect(all.notices).toMatchObject([{ code: 'HR-CC-203' }]);
  });

  it('is of the site and the time that are asked for', async () => {
    const early = { fromMs: T0 - 7_200_000, toMs: T0 - 7_140_000 };
    await put(alert(), alert({ site: 'paris' }), alert({ key: 'a/2', ...early }), health({ site: 'paris' }));
    expect((await look({ hours: 1 })).alerts.map(({ site }) => site).sort()).toEqual(['berlin', 'paris']);
    expect((await look({ site: 'berlin' })).alerts.length).toBe(2);
    expect((await look({ site: "' or 1=1 --" })).alerts).toEqual([]);
    expect((await look({ site: 'berlin' })).sites.map(({ site }) => site)).toEqual(['berlin', 'paris']);
  });

  it('has a bounded number of points and rows, whatever the store has; points that fall together are merged by their counts', async () => {
    const windows = Array.from({ length: 5_000 }, (_, at) =>
      trend({ key: `t/${at}`, fromMs: NOW - (at + 1) * 10_000, toMs: NOW - at * 10_000, mean: at % 2 === 0 ? 20 : 22, min: 19, max: 23 }),
    );
    const alerts = Array.from({ length: 150 }, (_, at) => alert({ key: `a/${at}` }));
    await put(...windows, ...alerts);
    const all = await look();
    const points = all.trends[0]?.points as { mean: number; low: number; high: number }[];
    expect(points.length).toBeGreaterThan(150);
    expect(points.length).toBeLessThanOrEqual(301);
    expect(points.slice(1, -1).every(({ mean, low, high }) => mean > 20.4 && mean < 21.6 && low === 19 && high === 23)).toBe(true);
    expect(all.alerts.length).toBe(100);
  });

  it('stands times at the ends of what the contract allows', async () => {
    await put(trend({ fromMs: -8.64e15, toMs: 8.64e15 }), security({ fromMs: 8.64e15, toMs: 8.64e15 }));
    expect((await look()).security.length).toBe(1);
    expect((await reader.runAndReadAll('select "from", "to" from trends')).currentRowCount).toBe(1);
  });
});

describe('an alert in words', () => {
  it.each([
    [
      alert({ kind: 'stuck', count: 3 }),
      'temperature:celsius has not moved for longer than it ever did (one reading in 1,600,000), 3 times',
    ],
    [{ kind: 'rule', rule: 'too-warm', count: 1 }, 'made a rule of the site act (too-warm)'],
    [{ kind: 'storm', count: 1200 }, 'many alerts at once, sent as one, 1,200 times'],
    [{ kind: 'level', score: 40 }, 'is at a level that it hardly ever has (fewer than one reading in 1,000,000,000)'],
  ])('%#', (message, words) => expect(inWords(message)).toBe(words));
});

describe('who asks for the page', () => {
  it.each([
    ['localhost:8090', true],
    ['127.0.0.1:8090', true],
    ['[::1]:8090', true],
    ['fleet.example.com', true],
    ['evil.example.com:8090', false],
    ['localhost.evil.example.com', false],
    ['', false],
    [undefined, false],
  ])('by %s: %s', (host, isOwn) => expect(isOwnName(host, ['fleet.example.com'])).toBe(isOwn));
});

describe('the page', () => {
  it('is well-formed: each element is closed, each id is there once, and each that the script asks for is there', () => {
    const open: string[] = [];
    const markup = HTML.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '<$1></$1>');
    for (const [, end, tag = ''] of markup.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
      if (end === '/') expect(open.pop()).toBe(tag);
      else if (tag !== 'meta') open.push(tag);
    }
    expect(open).toEqual([]);
    const ids = [...markup.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const wanted = [...HTML.matchAll(/\bat\('([^']+)'\)/g)].map(([, id]) => id);
    expect(wanted.length).toBeGreaterThan(8);
    expect(wanted.filter((id) => !ids.includes(id))).toEqual([]);
  });

  it('loads nothing, and has nothing that its policy forbids', () => {
    expect(HTML).not.toMatch(/\s(src|href|style|on[a-z]+)\s*=\s*"/);
    expect(HTML).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/);
    expect(HTML.match(/https?:\/\/[^'"\s]+/g)).toEqual(['http://www.w3.org/2000/svg']);
    expect(policyOf(HTML)).toMatch(
      /^default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; style-src 'sha256-[A-Za-z0-9+/]{43}='; connect-src 'self'/,
    );
  });

  it('shows the data, as text whatever it says', async () => {
    await put(...ONE_OF_EACH, trend({ key: 't/2', fromMs: T0 + 60_000, toMs: T0 + 120_000, mean: 22 }));
    const data = await look({ hours: 1 });
    const hostile = '<img src=x onerror=alert(1)>';
    (data.alerts[0] ?? {}).device = hostile;
    const shown = await run(data);
    expect(shown.text('sites')).toContain('berlin');
    expect(shown.text('sites')).toContain('120 lost');
    expect(shown.text('alerts')).toContain('is at a level that it hardly ever has');
    expect(shown.text('alerts')).toContain(hostile);
    expect(shown.tags('alerts')).not.toContain('img');
    expect(shown.text('trends')).toContain('temperature:celsius');
    const [band = '', mean = ''] = shown.paths('trends');
    expect(mean).toMatch(/^M[\d.]+,[\d.]+L[\d.]+,[\d.]+$/);
    expect(band).toMatch(/^M[\d.,L]+Z$/);
    expect(shown.text('state')).toContain('as of');
  });

  it('says so when there is no answer', async () => {
    expect((await run(undefined)).text('state')).toBe('no answer: HTTP 503');
  });
});

type Node = { tag: string; attributes: Record<string, string>; children: (Node | string)[] };

/** The script with as much of a document as it uses. `data` undefined: the server answers 503. */
async function run(data: Overview | undefined) {
  const byId = new Map<string, Node & { textContent: string }>();
  const make = (tag: string) => {
    const node = { tag, attributes: {} as Record<string, string>, children: [] as (Node | string)[] };
    return Object.assign(node, {
      ...{ textContent: '', className: '' },
      setAttribute(name: string, value: string) {
        node.attributes[name] = value;
      },
      addEventListener: () => undefined,
      append: (...children: (Node | string)[]) => void node.children.push(...children),
      replaceChildren(...children: (Node | string)[]) {
        node.children = children;
      },
    });
  };
  const document = {
    createElement: make,
    createElementNS: (_space: string, tag: string) => make(tag),
    getElementById(id: string) {
      const node = byId.get(id) ?? make('div');
      byId.set(id, node);
      return node;
    },
  };
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    return { ok: data !== undefined, status: 503, json: async () => JSON.parse(JSON.stringify(data)) as unknown };
  };
  runInNewContext(/<script>([\s\S]*)<\/script>/.exec(HTML)?.[1] ?? '', { document, fetch, setInterval: () => 0, URLSearchParams });
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toEqual(['overview.json?site=&hours=24']);
  const all = (node: Node | string): Node[] => (typeof node === 'string' ? [] : [node, ...node.children.flatMap(all)]);
  const words = (node: Node | string): string =>
    typeof node === 'string' ? node : node.children.map(words).join(' ').replaceAll(/\s+/g, ' ');
  const of = (id: string): Node & { textContent: string } => byId.get(id) ?? Object.assign(make('none'), { textContent: '' });
  return {
    text: (id: string): string => of(id).textContent || words(of(id)),
    tags: (id: string): string[] => all(of(id)).map(({ tag }) => tag),
    paths: (id: string): string[] => all(of(id)).flatMap(({ attributes }) => (attributes.d === undefined ? [] : [attributes.d])),
  };
}
