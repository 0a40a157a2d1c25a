/** What devices saw under Hedgerow's profile: certificates, tables of rights, guest mode. */

import type { Json, JsonObject } from '../../config.ts';
import type { Entry } from '../recording.ts';
import type { Stage } from '../stage.ts';
import { handText } from './profile.ts';
import type { Observed } from './script.ts';
import { playRows, rowsOf } from './table.ts';

const THERMO = 'thermo-17.berlin';
const RECORD = `/authorization/sources/built_in_database/rules/clients/${THERMO}`;

const ROWS = /^2 (device: (own|other|wildcard|\$-|publish)|service|gateway|paris)/;
const RULE_ROWS =
  /^[27] (client_attr|username re|\{publish|\{subscribe|subscribe rule|placeholder and|\$\{client_attrs|"and"|deny before|text without|typo|unknown placeholder is|missing attribute)/;

export function observeProfile(stage: Stage, entry: Entry): Promise<Observed> | undefined {
  if (/^1 cert /.test(entry.name)) return certificate(stage, entry);
  if (ROWS.test(entry.name)) return table(stage, entry);
  if (RULE_ROWS.test(entry.name) && entry.rules !== undefined) return underText(stage, entry);
  if (entry.name.startsWith('2 certificate without the attribute')) return withoutAttribute(stage, entry);
  if (entry.name.startsWith('2 nested and malformed')) return malformed(stage, entry);
  if (/^3 (before any override|quarantine record)/.test(entry.name)) return quarantine(stage, entry);
  if (/^9 /.test(entry.name) && entry.order !== undefined) return guest(stage, entry);
  if (entry.name.startsWith('15 which certificates')) return underChangedProfile(stage, entry);
  return undefined;
}

/** One certificate: is it let in, and who is it then? */
async function certificate(stage: Stage, entry: Entry): Promise<Observed> {
  const name = entry.name.slice('1 cert '.length);
  const described = { certificate: entry.certificate, 'openssl subject (RFC2253)': entry['openssl subject (RFC2253)'] };
  const clientId = `want-${name}`;
  const attempt = await stage.attempt(name, { clientId });
  if (!attempt.ok) return { seen: { ...described, connect: attempt.code === undefined ? entry.connect : `CONNACK ${attempt.code}` } };
  const { md5 = '' } = stage.identities.get(name) ?? {};
  const { status, body } = await stage.world.standIn.request('GET', `/clients?username=${md5}`);
  const [row = {}] = (body as { data: JsonObject[] }).data;
  await attempt.device.end();
  return {
    seen: {
      ...described,
      connect: `CONNACK ${attempt.device.connack.reasonCode}`,
      'sent clientid': clientId,
      'GET /clients?username=<md5>': status,
      clientid: row.clientid,
      'username is md5 of DER, lower hex': row.username === md5,
      client_attrs: row.client_attrs,
      cn: row.cn ?? null,
      dn: row.dn,
    },
  };
}

async function table(stage: Stage, entry: Entry): Promise<Observed> {
  const name = String(entry.client ?? THERMO);
  const device = await stage.open(name, { as: 'table' });
  const wrong = await playRows(device, rowsOf(entry));
  await stage.end('table');
  return { wrong };
}

async function underText(stage: Stage, entry: Entry): Promise<Observed> {
  const { status } = await stage.world.standIn.request('PUT', '/authorization/sources/file', {
    body: { type: 'file', enable: true, rules: String(entry.rules) },
  });
  const recorded = entry['PUT status'];
  if (status !== recorded) return { wrong: [`PUT: recorded ${String(recorded)}, answered ${status}`] };
  // A refused text leaves the one before in force.
  return table(stage, entry);
}

async function withoutAttribute(stage: Stage, entry: Entry): Promise<Observed> {
  await stage.text(handText());
  const device = await stage.open(String(entry.client), { as: 'table', clientId: String(entry.clientid) });
  const wrong = await playRows(device, rowsOf({ name: entry.name, ...(entry.attempts as Record<string, Json>) }));
  await stage.end('table');
  return { wrong };
}

/** Each on a connection of its own: most of them end it. */
async function malformed(stage: Stage, entry: Entry): Promise<Observed> {
  await stage.text(handText());
  const wrong: string[] = [];
  for (const row of rowsOf(entry)) {
    const device = await stage.open(THERMO, { as: 'table' });
    wrong.push(...(await playRows(device, [row])));
    await stage.end('table');
  }
  return { wrong };
}

const SYSTEM_TOPICS = ['$SYS/#', '$events/#'].map((topic) => ({ topic, permission: 'deny', action: 'all' }));

async function quarantine(stage: Stage, entry: Entry): Promise<Observed> {
  const recorded = (entry.rules as JsonObject[] | undefined) ?? quarantineRules;
  if (entry.rules) quarantineRules = recorded;
  await stage.text(entry.name.includes('{allow, all}') ? '{allow, all}.\n' : handText());
  if (entry.name.startsWith('3 before')) await stage.world.standIn.request('DELETE', RECORD);
  else {
    const rules = entry.name.includes('plus deny $SYS/#') ? [...recorded.slice(0, -1), ...SYSTEM_TOPICS, ...recorded.slice(-1)] : recorded;
    await stage.call('PUT', RECORD, { clientid: THERMO, rules });
  }
  const observed = await table(stage, entry);
  await stage.world.standIn.request('DELETE', RECORD);
  return observed;
}

let quarantineRules: JsonObject[] = [];

/** Our block among the rules of somebody else. */
async function guest(stage: Stage, entry: Entry): Promise<Observed> {
  if (entry.rules) foreign = String(entry.rules);
  const ours = handText().replace('{deny, all}.\n', '');
  const fence = '{deny, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, all, all}.\n';
  const [before = '', after = ''] = foreign.split(/(?<=\n)(?=\{allow, all\}\.)/);
  const texts: Record<string, string> = {
    foreign,
    'ours, foreign': `${ours}${foreign}`,
    'foreign, ours, {allow, all}': `${before}${ours}${after}`,
    'foreign, {allow, all}, ours': `${foreign}\n${ours}`,
    'ours+fence, foreign': `${ours}${fence}${foreign}`,
  };
  const rules = texts[String(entry.order)] ?? '';
  await stage.text(rules);
  const { body } = await stage.call('GET', '/authorization/sources/file');
  if ((body as JsonObject).rules !== rules) return { wrong: ['GET does not return the text byte for byte'] };
  return table(stage, entry);
}

let foreign = '';

/** The override and the ban of `invalid-certificate`: who still gets in. */
async function underChangedProfile(stage: Stage, entry: Entry): Promise<Observed> {
  const wrong: string[] = [];
  for (const [name, recorded] of Object.entries(entry)) {
    if (!stage.identities.has(name)) continue;
    const expected = (recorded as { connected: boolean }).connected;
    const attempt = await stage.attempt(name, { clientId: `want-${name}` });
    if (attempt.ok !== expected) wrong.push(`${name}: recorded ${expected}, now ${attempt.ok}`);
    if (attempt.ok) await attempt.device.end();
  }
  return { wrong };
}
