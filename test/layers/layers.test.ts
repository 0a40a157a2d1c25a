// The import directions of the house: who may know whom. Why devices/ stands above the other features: docs/adr/0002-devices-room.md.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FEATURES = [
  'identity',
  'broker',
  'segments',
  'interventions',
  'devices',
  'est',
  'crl',
  'reach',
  'mud',
  'trust',
  'firmware',
  'limits',
  'probe',
  'driver',
  'inventory',
  'releases',
];
/** Lower rooms never import higher ones. */
const RANK: Record<string, number> = {
  api: 0,
  kube: 1,
  runtime: 2,
  identity: 3,
  broker: 3,
  segments: 3,
  interventions: 3,
  reach: 3,
  mud: 4,
  trust: 3,
  firmware: 4,
  limits: 4,
  probe: 3,
  inventory: 4,
  driver: 5,
  releases: 5,
  devices: 4,
  est: 4,
  crl: 4,
  cli: 5,
  'flags.ts': 0,
  'options.ts': 0,
  'probe-options.ts': 0,
  'rollout-options.ts': 0,
  'own-clients.ts': 6,
  'release-options.ts': 0,
  'standalone.ts': 6,
  'main.ts': 7,
};

/** What a site's own programs share with the operator: words, the way to the API server, what every process needs, and how a revocation list is read. */
const SHARED_WITH_EDGE = ['operator/api/', 'operator/kube/', 'operator/runtime/', 'operator/flags.ts', 'operator/crl/read-list.ts'];

type Import = { file: string; specifier: string; target: string | undefined };

describe('layers', () => {
  const imports = globSync('{operator,edge-k3s,cloud,test}/**/*.ts', { cwd: root }).flatMap((file) => importsOf(file));
  const inOperator = imports.filter((i) => room(i.file) !== undefined);

  it('finds the imports at all', () => expect(inOperator.length).toBeGreaterThan(50));

  it('a room imports only rooms below it; its tests may borrow clocks and logs from above', () => {
    const wrong = inOperator.filter((i) => {
      if (isTest(i.file)) return false;
      const from = room(i.file);
      const to = i.target === undefined ? undefined : room(i.target);
      if (from === undefined || to === undefined || from === to) return false;
      return (RANK[to] ?? 99) > (RANK[from] ?? -1);
    });
    expect(wrong.map(say)).toEqual([]);
  });

  it('a feature is entered through the file named like its folder; tests may borrow its testing/', () => {
    const wrong = inOperator.filter((i) => {
      if (isTest(i.file) && i.target?.includes(`${sep}testing${sep}`)) return false;
      const from = room(i.file);
      const to = i.target === undefined ? undefined : room(i.target);
      if (to === undefined || from === to || !FEATURES.includes(to)) return false;
      return i.target !== join('operator', to, `${to}.ts`);
    });
    expect(wrong.map(say)).toEqual([]);
  });

  /** Schemas and rules of a gateway: they refuse a policy as a whole and say nothing of who reaches whom, so there is one reading of them (ADR 0040). */
  const OF_PAYLOADS = join('operator', 'api', 'gateway-text.ts');
  it('what proves reachability shares no code with what grants it', () => {
    const wrong = inOperator.filter(
      (i) =>
        room(i.file) === 'reach' && !isTest(i.file) && i.target !== undefined && room(i.target) !== 'reach' && i.target !== OF_PAYLOADS,
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('only operator/kube talks HTTP to Kubernetes and only operator/broker to EMQX', () => {
    const wrong = inOperator.filter((i) => i.specifier === 'undici' && !['kube', 'broker'].includes(room(i.file) ?? '') && !isTest(i.file));
    expect(wrong.map(say)).toEqual([]);
  });

  it('a program of edge-k3s/ shares with operator/ only what both need, and operator/ nothing with it', () => {
    const fromEdge = imports.filter((i) => i.file.startsWith('edge-k3s'));
    expect(fromEdge.length).toBeGreaterThan(20);
    const wrong = fromEdge.filter(
      (i) => !isTest(i.file) && i.target?.startsWith('operator') && !SHARED_WITH_EDGE.some((shared) => i.target?.startsWith(shared)),
    );
    const development = ['@peculiar/x509', 'vitest', 'fast-check', 'esbuild'];
    const tests = fromEdge.filter(
      (i) =>
        !isTest(i.file) &&
        (i.target?.startsWith(`test${sep}`) || i.target?.startsWith(`scripts${sep}`) || development.includes(i.specifier)),
    );
    const back = inOperator.filter((i) => i.target?.startsWith('edge-k3s'));
    expect([...wrong, ...tests, ...back].map(say)).toEqual([]);
  });

  it('a program of cloud/ shares with operator/ only what both need, and with edge-k3s/ nothing: all it knows of a gateway is what is sent', () => {
    const fromCloud = imports.filter((i) => i.file.startsWith('cloud') && !isTest(i.file));
    expect(fromCloud.length).toBeGreaterThan(10);
    const shared = ['operator/api/', 'operator/kube/backoff.ts', 'operator/runtime/', 'operator/flags.ts'];
    const foreign = ['@peculiar/x509', 'vitest', 'fast-check', 'esbuild'];
    const wrong = fromCloud.filter(
      (i) =>
        foreign.includes(i.specifier) ||
        (i.target !== undefined && !i.target.startsWith('cloud') && !shared.some((prefix) => i.target?.startsWith(prefix))),
    );
    const back = imports.filter(
      (i) => !i.file.startsWith('test') && !i.file.startsWith('cloud') && !isTest(i.file) && i.target?.startsWith(`cloud${sep}`),
    );
    expect([...wrong, ...back].map(say)).toEqual([]);
  });

  it('nothing in operator/ imports tests, scripts or development dependencies', () => {
    const development = ['@peculiar/x509', 'vitest', 'fast-check', 'esbuild'];
    const wrong = inOperator.filter(
      (i) =>
        !isTest(i.file) &&
        (i.target?.startsWith(`test${sep}`) || i.target?.startsWith(`scripts${sep}`) || development.includes(i.specifier)),
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('the broker stand-in shares no code with the operator', () => {
    const wrong = imports.filter((i) => i.file.startsWith(join('test', 'broker')) && i.target?.startsWith('operator'));
    expect(wrong.map(say)).toEqual([]);
  });

  it('the reference device shares no code with the operator; what writes its test vectors may', () => {
    const own = ['firmware', 'command'].map((part) => join('test', 'simulator', part));
    const wrong = imports.filter(
      (i) =>
        own.some((part) => i.file.startsWith(part)) && !isTest(i.file) && !i.file.endsWith('main.ts') && i.target?.startsWith('operator'),
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it('code that decides knows neither the API server nor a clock', () => {
    const deciding = inOperator.filter((i) =>
      /\/(decide|plan|model|effective|posture|authenticate|acl-[a-z]+|networkpolicy|csr|subject)\.ts$/.test(i.file),
    );
    const wrong = deciding.filter(
      (i) => i.target !== undefined && /^operator\/(kube\/(?!object)|runtime\/(?!outcome|conditions))/.test(i.target),
    );
    expect(wrong.map(say)).toEqual([]);
  });

  it.each([
    ['Date.now', /\bDate\.now\(/, ['operator/runtime/clock.ts']],
    // How long a socket may be idle is a setting of the socket.
    ['setTimeout', /(?<!\bsocket\.)\bsetTimeout\(/, ['operator/runtime/clock.ts']],
    ['Math.random', /\bMath\.random\(/, ['operator/runtime/random.ts']],
    ['process.env', /\bprocess\.env\b/, ['operator/runtime/environment.ts']],
  ])('%s appears in one file only', (_name, pattern, allowed) => {
    const users = globSync('{operator,edge-k3s,cloud}/**/*.ts', { cwd: root }).filter(
      (file) => !isTest(file) && pattern.test(withoutComments(file)),
    );
    expect(users.filter((file) => !allowed.includes(file))).toEqual([]);
  });
});

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => {
    const specifier = match[1] ?? '';
    const target = specifier.startsWith('.') ? relative(root, join(root, dirname(file), specifier)) : undefined;
    return { file, specifier, target };
  });
}

function room(file: string): string | undefined {
  const parts = file.split(sep);
  return parts[0] === 'operator' ? parts[1] : undefined;
}

const isTest = (file: string): boolean =>
  file.endsWith('.test.ts') || /\/test-[a-z-]+\.ts$/.test(file) || file.includes(`${sep}testing${sep}`);
const withoutComments = (file: string): string =>
  readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|(^|[^:])\/\/.*$/gm, '$1');
const say = (i: Import): string => `${i.file} imports ${i.target ?? i.specifier}`;
