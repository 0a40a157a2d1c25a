import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../../test/simulator/command/judge.ts';
import { der, type SiteCa, sender, siteCa } from '../../test/simulator/command/testing/senders.ts';
import { commandSign } from './command-sign.ts';
import { typed } from './testing/heard.ts';

let dir: string;
let ca: SiteCa;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hedgerow-command-'));
  ca = await siteCa('devices of berlin', Date.now());
  const { keyPem, chainPem } = await sender(ca, 'panel-1.berlin', Date.now());
  writeFileSync(join(dir, 'key'), keyPem);
  writeFileSync(join(dir, 'cert'), chainPem);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const sign = (...flags: string[]) =>
  typed(
    commandSign,
    ...['command', 'sign', 'fan-1.berlin', '--segment', 'fans.berlin', '--name', 'speed'],
    ...['--cert', join(dir, 'cert'), '--key', join(dir, 'key'), ...flags],
  );

describe('command sign', () => {
  it('makes a command that the reference device does, and says where to publish it', async () => {
    const { code, out, err } = await sign('--args', '{"percent": 62.5}');
    expect([code, err]).toEqual([0, 'as panel-1.berlin, at cmd/fans.berlin/fan-1.berlin/speed with QoS 1, within 60 s\n']);
    const judged = judge('cmd/fans.berlin/fan-1.berlin/speed', Buffer.from(out), {
      ...{ segment: 'fans.berlin', device: 'fan-1.berlin', cas: [new X509Certificate(der(ca))], revoked: new Set<string>() },
      ...{ grants: [{ sender: 'panel-1.berlin', commands: ['speed'] }], now: Date.now(), floors: {} },
    });
    expect(judged).toMatchObject({ verdict: 'new', command: { args: { percent: 62.5 } } });
  });

  it('with -o json says all of it to a script, and makes another command each time', async () => {
    const [one, other] = await Promise.all([sign('-o', 'json', '--valid-for', '10m'), sign('-o', 'json')]);
    expect(JSON.parse(one.out)).toMatchObject({ topic: 'cmd/fans.berlin/fan-1.berlin/speed', expirySeconds: 600 });
    expect(JSON.parse(one.out).envelope).not.toBe(JSON.parse(other.out).envelope);
  });

  it.each<[string, string[], number, RegExp]>([
    ['valid for longer than an hour', ['--valid-for', '2h'], 1, /HR-CLI-098/],
    ['a name of two levels', ['--name', 'a/b'], 1, /HR-CLI-098/],
    ['a key of another certificate', ['--cert', '/dev/null'], 1, /HR-CLI-099/],
    ['args that are none', ['--args', '[1]'], 2, /JSON object/],
    ['a segment without its namespace', ['--segment', 'fans'], 2, /with its namespace/],
    ['no duration', ['--valid-for', '1 hour'], 2, /duration/],
  ])('refuses %s', async (_name, flags, code, said) => {
    const heard = await sign(...flags);
    expect([heard.code, heard.out]).toEqual([code, '']);
    expect(heard.err).toMatch(said);
  });
});
