// The server as a process: it is killed while it downloads, again and again, and never serves or keeps a wrong or half file.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeDeviceCa, subject } from '../../test/broker/testing/pki.ts';
import { startArtifacts } from '../../test/harness/artifacts-process.ts';
import { makeServerCertificate } from '../../test/harness/certificates.ts';
import { startOrigin } from '../../test/harness/oci-origin.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { type Ask, catalogFiles, type Got, get } from './testing/site.ts';

const KILLS = 10;
const bytes = randomBytes(6_000_000);
const PIECE = 64_000;
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hedgerow-artifacts-'));
});
let last: Awaited<ReturnType<typeof startArtifacts>> | undefined;
afterAll(async () => {
  // Where the test failed in between.
  await last?.kill();
  await rm(home, { recursive: true, force: true });
});

it('killed ten times while it downloads, it goes on each time and ends with the right file; at the end it stops by itself', async () => {
  const origin = await startOrigin();
  const ca = await makeDeviceCa('devices');
  const camera = await ca.issue(subject('hedgerow', 'app.berlin', 'cam-1.berlin'));
  const tls = await makeServerCertificate();
  const file = (name: string): string => join(home, name);
  for (const [name, text] of Object.entries({
    'tls.crt': tls.certPem,
    'tls.key': tls.keyPem,
    'ca.crt': ca.certPem,
    'origin.crt': origin.caPem,
  }))
    await writeFile(file(name), text);
  const pushed = origin.push('fw/cam', bytes);
  await writeCatalog(file('catalogs/app'), catalogFiles([pushed]));
  // About 400 ms for all of it, so that each kill finds it at work.
  origin.misbehave((seen, response, blob) => {
    if (seen.kind !== 'blob' || blob === undefined) return false;
    const from = Number(/^bytes=(\d+)-$/.exec(seen.range ?? '')?.[1] ?? 0);
    response.writeHead(from === 0 ? 200 : 206, from === 0 ? {} : { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` });
    let at = from;
    const drip = setInterval(() => {
      if (response.destroyed || at >= blob.length) {
        clearInterval(drip);
        return void response.end();
      }
      response.write(blob.subarray(at, at + PIECE));
      at += PIECE;
    }, 20);
    return true;
  });
  const options = {
    ...{ catalogs: { directory: file('catalogs') }, cacheDir: file('cache'), tls: { certFile: file('tls.crt'), keyFile: file('tls.key') } },
    ...{ deviceCaFile: file('ca.crt'), registryCaFile: file('origin.crt'), logFile: file('log') },
  };
  const ask = (port: number, wish: Ask = {}): Promise<Got> => get(port, `/fw/sha256/${pushed.hex}`, tls.caPem, { client: camera, ...wish });

  const begun: number[] = [];
  for (let kills = 0; kills < KILLS; kills++) {
    const server = await startArtifacts(options);
    last = server;
    const before = await partial(file('cache'), pushed.hex);
    await waitFor(
      'bytes to come',
      async () => ((await partial(file('cache'), pushed.hex)) > before || (await wholes(file('cache'))).length > 0 ? true : undefined),
      { everyMs: 5 },
    );
    expect(await server.kill()).toBe(137);
    begun.push(await partial(file('cache'), pushed.hex));
    for (const name of await wholes(file('cache')))
      expect(
        createHash('sha256')
          .update(await readFile(join(file('cache'), 'sha256', name)))
          .digest('hex'),
      ).toBe(name);
  }
  // It went on from where it was: what was there never became less until it was whole.
  expect(begun.filter((count) => count > 0)).toEqual(begun.filter((count) => count > 0).toSorted((a, b) => a - b));

  const server = await startArtifacts(options);
  last = server;
  const answer = await waitFor('the file', async () => {
    const got = await ask(server.port);
    return got.status === 200 ? got : undefined;
  });
  expect(answer.body.equals(bytes)).toBe(true);
  const metrics = await (await fetch(`${server.metricsUrl}/metrics`)).text();
  expect(metrics).toContain(`fleet_artifacts_cache_bytes ${bytes.length}`);
  expect(metrics).toContain('fleet_artifacts_requests_total{kind="artifact",status="200"} 1');
  // A catalog that goes is served no more.
  await rm(file('catalogs/app'), { recursive: true });
  await waitFor('it to be gone', async () => ((await ask(server.port)).status === 404 ? true : undefined));
  expect(await server.stop()).toBe(0);
  await origin.close();
});

async function writeCatalog(directory: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, content] of files) await writeFile(join(directory, name), content);
}

const wholes = (cache: string): Promise<string[]> => readdir(join(cache, 'sha256')).catch(() => []);
const partial = (cache: string, hex: string): Promise<number> =>
  stat(join(cache, 'partial', hex)).then(
    ({ size }) => size,
    () => 0,
  );
