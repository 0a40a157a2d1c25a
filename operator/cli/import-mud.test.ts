import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { importMud } from './import-mud.ts';
import { typed } from './testing/heard.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-mud-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function written(content: unknown): string {
  const path = join(dir, 'lamp.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const LAMP = {
  'ietf-mud:mud': {
    'mud-version': 1,
    'mud-url': 'https://things.example.com/lamp2000.json',
    'model-name': 'lamp-2000',
    'from-device-policy': { 'access-lists': { 'access-list': [{ name: 'fr' }] } },
  },
  'ietf-access-control-list:acls': {
    acl: [
      {
        name: 'fr',
        aces: {
          ace: [
            {
              name: 'hub',
              matches: { 'ietf-mud:mud': { 'my-controller': [null] }, tcp: { 'destination-port': { operator: 'eq', port: 8883 } } },
              actions: { forwarding: 'accept' },
            },
            {
              name: 'updates',
              matches: { ipv4: { 'ietf-acldns:dst-dnsname': 'u.example.com' }, tcp: { 'destination-port': { operator: 'eq', port: 443 } } },
              actions: { forwarding: 'accept' },
            },
          ],
        },
      },
    ],
  },
};

describe('kubectl hedgerow import-mud', () => {
  it('prints a manifest, with what is left out in it and on stderr, and ends with 3', async () => {
    const { out, err, code } = await typed(importMud, 'import-mud', written(LAMP), '-n', 'berlin', '--map', 'my-controller=hq/gateways');
    expect(parse(out)).toMatchObject({
      kind: 'SegmentPolicy',
      metadata: {
        name: 'lamp-2000',
        namespace: 'berlin',
        annotations: { 'hedgerow.dev/mud-url': 'https://things.example.com/lamp2000.json' },
      },
      spec: { conduits: [{ to: { namespace: 'hq', segment: 'gateways' }, ports: [{ protocol: 'TCP', port: 8883 }] }] },
    });
    expect(out).toMatch(/^# not in this draft: fr\/updates: /m);
    expect(err).toMatch(/HR-CLI-061: fr\/updates: .*dns=u\.example\.com/);
    expect(code).toBe(3);
  });

  it('ends with 0 when all of it is in the draft', async () => {
    const maps = ['--map', 'my-controller=gateways', '--map', 'dns=u.example.com=192.0.2.9/32'];
    const { out, err, code } = await typed(importMud, 'import-mud', written(LAMP), ...maps);
    expect(parse(out).spec.conduits).toHaveLength(2);
    expect([err, code]).toEqual(['', 0]);
  });

  it.each<[string, unknown, string[], number, RegExp]>([
    ['a file that is none', '{"a": "\u001b[2J"}', [], 1, /HR-CLI-062/],
    ['a place that is none', LAMP, ['--map', 'my-controller=../x'], 2, /neither SEGMENT/],
    ['a map without a place', LAMP, ['--map', 'my-controller'], 2, /WHAT=WHERE/],
    ['a name that is none', LAMP, ['--name', '../evil'], 2, /is no name/],
  ])('refuses %s', async (_name, content, flags, code, expected) => {
    const ran = await typed(importMud, 'import-mud', written(content), ...flags);
    expect([ran.out, ran.code]).toEqual(['', code]);
    expect(ran.err).toMatch(expected);
    expect(ran.err).not.toContain('\u001b');
  });

  it('names a file that is not there', async () => {
    const { err, code } = await typed(importMud, 'import-mud', join(dir, 'gone.json'));
    expect(err).toMatch(/HR-CLI-004: .*ENOENT/);
    expect(code).toBe(1);
  });
});
