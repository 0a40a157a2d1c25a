/** What Hedgerow relies on in an EMQX, put to the stand-in and, with `EMQX_URL` and credentials, to a real one. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../config.ts';
import type { Device } from '../testing/device.ts';
import { type Identity, subject } from '../testing/pki.ts';
import { NAMESPACE, TARGETS, type Target, TEXT } from './target.ts';

const OFFICE = `office.${NAMESPACE}`;

describe.each(TARGETS)('the contract with EMQX holds for %s', (_name, start) => {
  let target: Target;
  let ingest: Device;
  let thermo: Identity;
  const id = `thermo.${NAMESPACE}`;
  const own = `dt/${OFFICE}/${id}/t`;
  const command = `cmd/${OFFICE}/${id}/set`;

  const call = async (method: string, path: string, body?: JsonObject | JsonObject[] | string[]) => {
    const answer = await target.rest(method, path, body === undefined ? {} : { body });
    return answer.status;
  };
  const putText = (rules: string) => call('PUT', '/authorization/sources/file', { type: 'file', enable: true, rules });
  const putRecord = (...rules: JsonObject[]) =>
    call('PUT', `/authorization/sources/built_in_database/rules/clients/${id}`, { clientid: id, rules });
  const deleteRecord = () => call('DELETE', `/authorization/sources/built_in_database/rules/clients/${id}`);
  const clearCache = () => call('DELETE', `/clients/${id}/authorization/cache`);
  const client = async () => (await target.rest('GET', `/clients/${id}`)).body as JsonObject;
  const DENY = { topic: '#', permission: 'deny', action: 'all' };

  beforeAll(async () => {
    target = await start();
    expect(await putText(TEXT)).toBe(204);
    thermo = await target.issue('thermo');
    ingest = await target.connect(await target.issue('ingest', 'ingest'));
    expect(await ingest.subscribe(`dt/${OFFICE}/#`)).toBe('granted 1');
  });

  afterAll(() => target?.stop());

  describe('identity', () => {
    it('client id, user name and segment come from the certificate, whatever the client says', async () => {
      await target.connect(thermo, { clientId: 'somebody-else', username: 'admin' });
      expect(await client()).toMatchObject({
        clientid: id,
        username: thermo.md5,
        client_attrs: { seg: OFFICE },
        connected: true,
        listener: 'ssl:default',
      });
      expect((await target.rest('GET', '/clients/somebody-else')).status).toBe(404);
    });

    const malformed: [string, (ca: Target['ca']) => Promise<Identity>][] = [
      ['without CN', (ca) => ca.issue(subject('hedgerow', OFFICE, 'x').slice(0, 2))],
      ['without OU', (ca) => ca.issue([...subject('hedgerow', 'x', id)].filter(([one]) => one?.type !== 'OU'))],
      ['CN +', (ca) => ca.issue(subject('hedgerow', OFFICE, '+'))],
      ['CN of another namespace than OU', (ca) => ca.issue(subject('hedgerow', 'office.elsewhere', id))],
      ['another organisation', (ca) => ca.issue(subject('acme', OFFICE, id))],
      ['RDNs in another order', (ca) => ca.issue(subject('hedgerow', OFFICE, id).toReversed())],
    ];
    it.each(malformed)('a certificate %s is refused and takes over no session', async (_case, issue) => {
      const genuine = await target.connect(thermo);
      const identity = await issue(target.ca);
      expect(await target.attempt(identity, { clientId: id })).toMatchObject({ ok: false, code: 0x8a });
      expect(await target.attempt(identity, { clientId: id, protocol: 4 })).toMatchObject({ ok: false, code: 5 });
      expect(await genuine.publish(own)).toBe('accepted');
    });

    it('a second connection of the same name takes over: 0x8E', async () => {
      const first = await target.connect(thermo);
      const second = await target.connect(await target.issue('thermo'));
      await first.waitClosed();
      expect(first.disconnectReason).toBe(0x8e);
      expect(await second.publish(own)).toBe('accepted');
    });
  });

  describe('rights', () => {
    const rights: [string, string, string][] = [
      ['publish', own, 'accepted'],
      ['publish', `dt/${OFFICE}/other.${NAMESPACE}/t`, 'refused 135'],
      ['publish', `dt/lab.${NAMESPACE}/${id}/t`, 'refused 135'],
      ['publish', command, 'refused 135'],
      ['publish', '$SYS/x', 'refused 135'],
      ['subscribe', `cmd/${OFFICE}/${id}/#`, 'granted 1'],
      ['subscribe', `$share/g/cmd/${OFFICE}/${id}/#`, 'granted 1'],
      ['subscribe', `cmd/${OFFICE}/+/#`, 'refused 135'],
      ['subscribe', '#', 'refused 135'],
      ['subscribe', '+/#', 'refused 135'],
      ['subscribe', '$SYS/#', 'refused 135'],
      ['subscribe', `$share/g/cmd/${OFFICE}/other.${NAMESPACE}/#`, 'refused 135'],
    ];
    it.each(rights)('%s %s: %s', async (kind, topic, expected) => {
      const device = await target.connect(thermo);
      expect(kind === 'publish' ? await device.publish(topic) : await device.subscribe(topic)).toBe(expected);
    });

    it('qos and retain of a rule are limits', async () => {
      const device = await target.connect(thermo);
      expect(await device.publish(own, { qos: 2 })).toBe('refused 135');
      expect(await device.publish(own, { retain: true })).toBe('refused 135');
      expect(await device.publish(`ota/v1/d/${id}/state`, { retain: true, payload: '' })).toBe('accepted');
    });

    it('a denied QoS 0 publish is dropped in silence', async () => {
      const device = await target.connect(thermo);
      const before = ingest.received.length;
      await device.publish(`dt/${OFFICE}/other.${NAMESPACE}/t`, { qos: 0 });
      await device.publish(own, { payload: 'marker' });
      await ingest.waitMessages(before + 1);
      expect(ingest.received.slice(before).map((one) => one.payload)).toEqual(['marker']);
    });

    it('MQTT 3.1.1 cannot notice a denied publish, and reads 0x80 for a denied subscription', async () => {
      const device = await target.connect(thermo, { protocol: 4 });
      expect(await device.publish(`dt/${OFFICE}/other.${NAMESPACE}/t`)).toBe('accepted');
      expect(await device.subscribe('#')).toBe('refused 128');
      expect(await device.publish(own)).toBe('accepted');
    });

    it('a text that does not parse is refused and the old one stays in force', async () => {
      expect(await putText('{allow, all')).toBe(400);
      const device = await target.connect(thermo);
      expect(await device.publish(own)).toBe('accepted');
      expect(((await target.rest('GET', '/authorization/sources/file')).body as JsonObject).rules).toBe(TEXT);
    });
  });

  describe('what a change of rights reaches', () => {
    it('a record does not reach cached answers until the cache of the client is deleted', async () => {
      const device = await target.connect(thermo);
      expect(await device.publish(own)).toBe('accepted');
      expect(await putRecord(DENY)).toBe(204);
      expect(await device.publish(own)).toBe('accepted');
      expect(await device.publish(`${own}/new`)).toBe('refused 135');
      expect(await clearCache()).toBe(204);
      expect(await device.publish(own)).toBe('refused 135');
      expect(await deleteRecord()).toBe(204);
      expect(await device.publish(own)).toBe('refused 135');
      expect(await call('DELETE', '/authorization/cache')).toBe(204);
      expect(await device.publish(own)).toBe('accepted');
    });

    it('a text reaches everybody at once, an unchanged one drains the caches too, settings do not', async () => {
      const device = await target.connect(thermo);
      expect(await device.publish(own)).toBe('accepted');
      await putText('{deny, all}.\n');
      expect(await device.publish(own)).toBe('refused 135');
      await putText(TEXT);
      expect(await device.publish(own)).toBe('accepted');
      await putRecord(DENY);
      const { body } = await target.rest('GET', '/authorization/settings');
      await target.rest('PUT', '/authorization/settings', { body });
      expect(await device.publish(own)).toBe('accepted');
      await putText(TEXT);
      expect(await device.publish(own)).toBe('refused 135');
      await deleteRecord();
      await clearCache();
    });

    it('a subscription outlives the right to it until somebody unsubscribes it', async () => {
      const device = await target.connect(thermo);
      await device.subscribe(`cmd/${OFFICE}/${id}/#`);
      await putRecord(DENY);
      await clearCache();
      await ingest.publish(command, { payload: 'still' });
      await device.waitMessages(1);
      expect(await device.subscribe(`cmd/${OFFICE}/${id}/#`)).toBe('refused 135');
      expect(await call('POST', `/clients/${id}/unsubscribe/bulk`, [{ topic: `cmd/${OFFICE}/${id}/#` }])).toBe(204);
      await ingest.publish(command, { payload: 'no more' });
      await device.settle();
      expect(device.received.map((one) => one.payload)).toEqual(['still']);
      await deleteRecord();
    });
  });

  describe('bans and kicks', () => {
    const ban = (as: string, who: string) => call('POST', '/banned', { as, who, by: 'hedgerow/contract', reason: 'test' });

    it('a ban by client id closes the connection, refuses every certificate of the name and drops the will', async () => {
      const device = await target.connect(thermo, { will: { topic: own, payload: 'will of the banned' } });
      const before = ingest.received.length;
      expect(await ban('clientid', id)).toBe(200);
      await device.waitClosed();
      expect(device.disconnectReason).toBe(0x98);
      for (const identity of [thermo, await target.issue('thermo')])
        expect(await target.attempt(identity)).toMatchObject({ ok: false, code: 0x8a });
      expect(await target.attempt(thermo, { protocol: 4 })).toMatchObject({ ok: false, code: 5 });
      expect(await call('DELETE', `/banned/clientid/${id}`)).toBe(204);
      const again = await target.connect(thermo);
      await again.publish(own, { payload: 'marker' });
      await ingest.waitMessages(before + 1);
      expect(ingest.received.slice(before).map((one) => one.payload)).toEqual(['marker']);
    });

    it('a ban by certificate leaves the connection open until the kick, and lets the successor in', async () => {
      const device = await target.connect(thermo);
      expect(await ban('username', thermo.md5)).toBe(200);
      expect(await device.publish(own)).toBe('accepted');
      expect(await call('DELETE', `/clients/${id}`)).toBe(204);
      await device.waitClosed();
      expect(device.disconnectReason).toBe(0x98);
      expect(await target.attempt(thermo)).toMatchObject({ ok: false, code: 0x8a });
      const successor = await target.connect(await target.issue('thermo'));
      expect(await successor.publish(own)).toBe('accepted');
      expect(await call('DELETE', `/banned/username/${thermo.md5}`)).toBe(204);
    });

    it('a kick alone publishes the will; so does a lost connection', async () => {
      for (const end of ['kick', 'lost connection']) {
        const before = ingest.received.length;
        const device = await target.connect(thermo, { will: { topic: own, payload: `will after ${end}` } });
        if (end === 'kick') expect(await call('DELETE', `/clients/${id}`)).toBe(204);
        else device.drop();
        await ingest.waitMessages(before + 1);
        expect(ingest.received.at(-1)?.payload).toBe(`will after ${end}`);
      }
    });

    it('a will on a denied topic lets the client in and is dropped', async () => {
      const before = ingest.received.length;
      const device = await target.connect(thermo, { will: { topic: `dt/${OFFICE}/other.${NAMESPACE}/t`, payload: 'forged' } });
      device.drop();
      const again = await target.connect(thermo);
      await again.publish(own, { payload: 'marker' });
      await ingest.waitMessages(before + 1);
      expect(ingest.received.slice(before).map((one) => one.payload)).toEqual(['marker']);
    });

    it('many are kicked by one call, unknown names do no harm', async () => {
      const devices = await Promise.all(['a', 'b', 'c'].map(async (name) => target.connect(await target.issue(name))));
      expect(
        await call(
          'POST',
          '/clients/kickout/bulk',
          ['a', 'b', 'c', 'nobody'].map((name) => `${name}.${NAMESPACE}`),
        ),
      ).toBe(204);
      for (const device of devices) {
        await device.waitClosed();
        expect(device.disconnectReason).toBe(0x98);
      }
    });
  });

  describe('sessions and messages', () => {
    it('a persistent session keeps its filters and what came meanwhile; DELETE ends it, also offline', async () => {
      const device = await target.connect(thermo, { clean: false, expirySeconds: 600 });
      await device.subscribe(`cmd/${OFFICE}/${id}/#`);
      await device.end();
      await expect.poll(client, { timeout: 30_000 }).toMatchObject({ connected: false });
      await ingest.publish(command, { payload: 'meanwhile' });
      const resumed = await target.connect(thermo, { clean: false, expirySeconds: 600 });
      expect(resumed.connack.sessionPresent).toBe(true);
      await resumed.waitMessages(1);
      expect(resumed.received).toMatchObject([{ topic: command, payload: 'meanwhile', qos: 1, retain: false }]);
      await resumed.end();
      await expect.poll(client, { timeout: 30_000 }).toMatchObject({ connected: false });
      expect(await call('DELETE', `/clients/${id}`)).toBe(204);
      expect(await call('DELETE', `/clients/${id}`)).toBe(404);
      const fresh = await target.connect(thermo, { clean: false, expirySeconds: 0 });
      expect(fresh.connack.sessionPresent).toBe(false);
    });

    it('QoS 2 arrives once', async () => {
      const device = await target.connect(thermo);
      await device.subscribe(`cmd/${OFFICE}/${id}/#`, 2);
      for (const payload of ['1', '2', '3']) expect(await ingest.publish(command, { qos: 2, payload })).toBe('accepted');
      await device.waitMessages(3);
      await device.settle();
      expect(device.received.map(({ payload, qos }) => [payload, qos])).toEqual([
        ['1', 2],
        ['2', 2],
        ['3', 2],
      ]);
    });

    it('retained messages are kept, handed to new subscribers with the flag, and cleared by an empty one', async () => {
      const topic = `ota/v1/d/${id}/directive`;
      const path = `/mqtt/retainer/message/${encodeURIComponent(topic)}`;
      await call('POST', '/publish', { topic, payload: 'do this', qos: 1, retain: true });
      expect((await target.rest('GET', path)).body).toMatchObject({
        topic,
        payload: Buffer.from('do this').toString('base64'),
        from_clientid: 'http_api',
      });
      const device = await target.connect(thermo);
      await device.subscribe(topic);
      await device.waitMessages(1);
      expect(device.received).toMatchObject([{ topic, payload: 'do this', retain: true }]);
      expect(await device.publish(topic, { retain: true, payload: '' })).toBe('refused 135');
      await call('POST', '/publish', { topic, payload: '', qos: 1, retain: true });
      expect((await target.rest('GET', path)).status).toBe(404);
    });

    it('a shared subscription hands each message to one member', async () => {
      const members = await Promise.all(['s1', 's2'].map(async (name) => target.connect(await target.issue(name, 'ingest'))));
      for (const member of members) expect(await member.subscribe(`$share/workers/dt/${OFFICE}/#`)).toBe('granted 1');
      const device = await target.connect(thermo);
      const before = ingest.received.length;
      for (let n = 0; n < 10; n++) await device.publish(own, { payload: String(n) });
      await ingest.waitMessages(before + 10);
      for (const member of members) await member.settle();
      const got = members.flatMap((member) => member.received.map((one) => one.payload));
      expect(got.sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    });

    it('user properties and expiry reach the subscriber', async () => {
      const device = await target.connect(thermo);
      await device.subscribe(`cmd/${OFFICE}/${id}/#`);
      const properties = { user_properties: { a: 'b' }, content_type: 'text/plain', message_expiry_interval: 30 };
      await call('POST', '/publish', { topic: command, payload: 'x', qos: 1, properties });
      await device.waitMessages(1);
      expect(device.received[0]?.properties).toMatchObject({
        userProperties: { a: 'b' },
        contentType: 'text/plain',
        messageExpiryInterval: 30,
      });
    });
  });
});
