// What the code of `crane` pushes to a registry that nobody here wrote is served to a device, whole and from where it was left.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openCache } from '../../../edge-k3s/artifacts/cache.ts';
import { download } from '../../../edge-k3s/artifacts/download.ts';
import { createOriginHttp, type OriginHttp } from '../../../edge-k3s/artifacts/origin-http.ts';
import { type Reference, readReference } from '../../../edge-k3s/artifacts/reference.ts';
import { createRegistry } from '../../../edge-k3s/artifacts/registry.ts';
import { systemClock } from '../../../operator/runtime/clock.ts';
import { silentLog } from '../../../operator/runtime/log.ts';
import { program } from '../../controlplane/programs.ts';
import { makeServerCertificate } from '../../harness/certificates.ts';

const COMPILE_MS = 600_000;
const bytes = randomBytes(2_000_000);
const wanted = { hex: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
let home: string;
let stop: () => Promise<unknown>;
let http: OriginHttp;
let source: Reference;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hedgerow-registry-'));
  const { caPem, certPem, keyPem } = await makeServerCertificate();
  const child = spawn((await program('ociregistry')).bin, { stdio: ['pipe', 'pipe', 'inherit'] });
  stop = async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
  child.stdin.write(`${JSON.stringify({ cert: certPem, key: keyPem, ca: caPem, repository: 'fw/cam', blob: bytes.toString('base64') })}\n`);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const read = readReference((JSON.parse(line) as { reference: string }).reference);
  if (read === undefined) throw new Error(`no reference: ${line}`);
  source = read;
  await writeFile(join(home, 'ca.crt'), caPem);
  http = await createOriginHttp(join(home, 'ca.crt'));
}, COMPILE_MS);
afterAll(async () => {
  await http?.close();
  await stop?.();
  await rm(home, { recursive: true, force: true });
});

it.each([
  ['whole', 0],
  ['from where it was left', 1_234_567],
])('it is fetched %s', async (name, begun) => {
  const cache = await openCache({
    directory: join(home, name),
    mostBytes: 4_000_000,
    clock: systemClock,
    log: silentLog,
    evicted: () => undefined,
  });
  await writeFile(join(home, name, 'partial', wanted.hex), bytes.subarray(0, begun));
  const again = await openCache({
    directory: join(home, name),
    mostBytes: 4_000_000,
    clock: systemClock,
    log: silentLog,
    evicted: () => undefined,
  });
  const room = await again.room(wanted.hex, wanted.size, () => false);
  if (room === undefined) throw new Error('no room');
  let received = 0;
  const deps = {
    ...{ registry: createRegistry({ http, authFile: undefined, clock: systemClock }), clock: systemClock },
    received: (count: number) => {
      received += count;
    },
  };
  await download(room, wanted, source, deps, AbortSignal.timeout(60_000));
  expect({ has: again.has(wanted.hex), used: again.usedBytes }).toEqual({ has: true, used: wanted.size });
  // A registry that knows no ranges gives all of it again, and that is right, too.
  expect([bytes.length - begun, bytes.length]).toContain(received);
  expect(cache.usedBytes).toBe(0);
});

it('a manifest that the registry has not, and an artifact that the manifest has not, are told apart', async () => {
  const registry = createRegistry({ http, authFile: undefined, clock: systemClock });
  const signal = AbortSignal.timeout(60_000);
  await expect(registry.open({ ...source, hex: '0'.repeat(64) }, wanted, 0, signal)).rejects.toThrow('HR-FW-412');
  await expect(registry.open(source, { ...wanted, hex: '0'.repeat(64) }, 0, signal)).rejects.toThrow('HR-FW-416');
  await expect(registry.open(source, { ...wanted, size: 5 }, 0, signal)).rejects.toThrow('HR-FW-416');
  await expect(registry.open({ ...source, repository: 'fw/none' }, wanted, 0, signal)).rejects.toThrow('HR-FW-412');
});
