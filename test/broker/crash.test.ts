/** It forgets what EMQX forgets (restart.json), and nothing else. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from './config.ts';
import { startWorld, type World } from './testing/world.ts';

const TEXT = '{allow, all, all, ["t/#"]}.\n{deny, all}.\n';

describe('what outlives the process', () => {
  let world: World;
  const rest = async (method: string, path: string, body?: JsonObject) =>
    world.standIn.request(method, path, body === undefined ? {} : { body });
  const write = async (name: string) => {
    const rules = [{ topic: 'x', permission: 'allow', action: 'all' }];
    await rest('PUT', `/authorization/sources/built_in_database/rules/clients/${name}`, { clientid: name, rules });
    await rest('POST', '/banned', { as: 'clientid', who: name, by: 'test' });
  };
  const holds = async (name: string) => ({
    record: (await rest('GET', `/authorization/sources/built_in_database/rules/clients/${name}`)).status === 200,
    ban: ((await rest('GET', `/banned?clientid=${name}`)).body as { data: object[] }).data.length === 1,
  });
  const text = async () => ((await rest('GET', '/authorization/sources/file')).body as JsonObject).rules;

  /** The journal of the tables: about 3 s behind. */
  const journal = () => readFileSync(join(world.dir, 'data', 'tables.jsonl'), 'utf8');
  /** Both its record and its ban, which may be written down at two times. */
  const untilWritten = async (name: string) => {
    while (
      journal()
        .split('\n')
        .filter((line) => line.includes(name)).length < 2
    )
      await sleep(50);
  };
  /** Kills within 2 s of the first write, or tries again: on a busy machine the writes themselves may take longer than the broker waits. */
  const killSoonAfter = async (act: (round: number) => Promise<() => Promise<void>>) => {
    for (let round = 0; ; round++) {
      const startedAt = performance.now();
      const check = await act(round);
      await world.standIn.kill();
      const tookMs = performance.now() - startedAt;
      await world.standIn.restart();
      if (tookMs > 2_000 && round < 10) continue;
      await check();
      return;
    }
  };

  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world.stop());

  it('SIGTERM writes everything down; retained messages and sessions are gone all the same', async () => {
    await rest('PUT', '/authorization/sources/file', { type: 'file', enable: true, rules: TEXT });
    const device = await world.connect('a.berlin', 'office.berlin', { clean: false, expirySeconds: 600 });
    await device.subscribe('t/#');
    await device.publish('t/kept', { retain: true });
    await write('term.berlin');
    await world.standIn.restart();
    expect(await holds('term.berlin')).toEqual({ record: true, ban: true });
    expect(await text()).toBe(TEXT);
    expect((await rest('GET', '/mqtt/retainer/message/t%2Fkept')).status).toBe(404);
    expect((await rest('GET', '/clients/a.berlin')).status).toBe(404);
  });

  it('SIGKILL loses bans and records of the last seconds, not those written down before, and no text', async () => {
    await write('old.berlin');
    await untilWritten('old.berlin');
    await killSoonAfter(async (round) => {
      await write(`young-${round}.berlin`);
      await rest('PUT', '/authorization/sources/file', { type: 'file', enable: true, rules: `%% ${round}\n${TEXT}` });
      return async () => {
        expect(await holds('old.berlin')).toEqual({ record: true, ban: true });
        expect(await holds(`young-${round}.berlin`)).toEqual({ record: false, ban: false });
        expect(await text()).toBe(`%% ${round}\n${TEXT}`);
      };
    });
  });

  it('SIGKILL undoes a deletion of the last seconds: what was lifted is in force again', async () => {
    await killSoonAfter(async () => {
      await rest('DELETE', '/banned/clientid/old.berlin');
      expect(await holds('old.berlin')).toEqual({ record: true, ban: false });
      return async () => expect(await holds('old.berlin')).toEqual({ record: true, ban: true });
    });
  });

  it('keeps its ports and its API key, and tells by its uptime that it began anew', async () => {
    const before = { ...world.standIn, pid: world.standIn.pid };
    await sleep(300);
    const uptime = async () => ((await rest('GET', '/nodes')).body as { uptime: number }[])[0]?.uptime ?? 0;
    const longest = await uptime();
    await world.standIn.restart();
    expect(await uptime()).toBeLessThan(longest);
    expect(world.standIn.pid).not.toBe(before.pid);
    expect(world.standIn).toMatchObject({ restUrl: before.restUrl, mqttPort: before.mqttPort, apiKey: before.apiKey });
  });

  it('without its data directory it boots with {deny, all} and the one ban of the image', async () => {
    await world.standIn.restart({ wipe: true });
    expect(await text()).toBe('{deny, all}.\n');
    expect((await rest('GET', '/banned')).body).toMatchObject({
      data: [{ as: 'clientid', who: 'invalid-certificate' }],
      meta: { count: 1 },
    });
    expect(await holds('old.berlin')).toEqual({ record: false, ban: false });
    const device = await world.connect('a.berlin', 'office.berlin');
    expect(await device.publish('t/x')).toBe('refused 135');
  });
});
