// The reference device updates itself through this server, with its certificate: the bytes of the release, its statement and its roots by the paths of the directive.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Directive } from '../../operator/firmware/messages.ts';
import type { World } from '../../test/simulator/firmware/agent.ts';
import { memoryFlash } from '../../test/simulator/firmware/flash.ts';
import { commander, factory, type Image, makeDevice, makeSite as makeFirmwareSite } from '../../test/simulator/firmware/testing/site.ts';
import { readCatalog } from './catalog.ts';
import { makeSite, type Site } from './testing/site.ts';

const BASE = 'https://localhost';

it('the reference device updates itself by an image of a root that it did not know', async () => {
  const firmware = await makeFirmwareSite();
  const old = firmware.image({ version: '2.3.0', securityCounter: 4 });
  const [first, second] = firmware.keys;
  if (first === undefined || second === undefined) throw new Error('a site without keys');
  const good = firmware.image({ version: '2.4.0', securityCounter: 5, size: 200_000 }, [first, firmware.late]);
  const site = await makeSite();
  try {
    const pushed = site.origin.push('fw/app', good.bytes);
    site.catalogs.put('app', readCatalog(filesOf(good, pushed.oci, [firmware.firstRoot, firmware.secondRoot])));
    const flash = memoryFlash();
    factory(flash, old);
    const asked: string[] = [];
    const device = makeDevice(firmware, flash, fetchFrom(site, asked));
    await device.machine.start();
    const { make, sign } = commander(firmware);
    await device.machine.receive(sign(make(device.world.device, 'Install', good, urlsOf(good, firmware.firstRoot))));
    expect(device.machine.booted).toMatchObject({ slot: 'B', digest: good.digest });
    const states = device.sent
      .filter(({ topic }) => topic === 'state')
      .map(({ payload }) => (JSON.parse(payload) as { state: string }).state);
    expect(states.at(-1)).toBe('Confirmed');
    // Images come in pieces: 200,000 bytes are four.
    expect(asked.filter((path) => path.startsWith('/fw/sha256/'))).toHaveLength(4);
    expect(asked.some((path) => path.endsWith('/2.root.json'))).toBe(true);
  } finally {
    await site.close();
  }
});

function filesOf({ statement, statementDigest, digest, bytes }: Image, oci: string, roots: readonly Buffer[]): Map<string, Buffer> {
  const release = { manifestDigest: statementDigest, artifacts: [{ name: 'full', digest, size: bytes.length, oci }] };
  return new Map([
    ['release.json', Buffer.from(JSON.stringify(release))],
    ['envelope.json', statement],
    ...roots.map((root, at): [string, Buffer] => [`${at + 1}.root.json`, root]),
  ]);
}

function urlsOf({ statementDigest, digest, bytes, version, securityCounter }: Image, firstRoot: Buffer): Partial<Directive> {
  const hex = (text: string): string => text.replace('sha256:', '');
  const pinned = createHash('sha256').update(firstRoot).digest('hex');
  return {
    release: {
      digest: statementDigest,
      urls: [`${BASE}/fw/releases/${hex(statementDigest)}`],
      roots: { version: 2, url: `${BASE}/fw/roots/${pinned}` },
    },
    artifact: { digest, size: bytes.length, version, securityCounter, urls: [`${BASE}/fw/sha256/${hex(digest)}`] },
  };
}

const fetchFrom =
  (site: Site, asked: string[]): World['fetch'] =>
  async (url, from, most) => {
    const path = url.slice(BASE.length);
    asked.push(path);
    const { status, body } = await site.get(path, { headers: { range: `bytes=${from}-${from + most - 1}` } });
    return status === 200 || status === 206 ? { bytes: body } : { status };
  };
