/** Templates, wildcards and odd common names: who gets what from a rule with a placeholder. */

import type { JsonObject } from '../../config.ts';
import { subject } from '../../testing/pki.ts';
import type { Rdn } from '../../testing/subject-der.ts';
import type { Entry } from '../recording.ts';
import type { Stage } from '../stage.ts';
import { ACME_TEXT } from './rest.ts';
import type { Observed, Script } from './script.ts';
import { playRows, rowsOf } from './table.ts';

/** Recognised by the name of the entry. */
const CERTIFICATES: [RegExp, Rdn[]][] = [
  [/CN is \+/, subject('acme', 'seg-a', '+')],
  [/CN is #/, subject('acme', 'seg-a', '#')],
  [/CN is dev-1\/up/, subject('acme', 'seg-a', 'dev-1/up')],
  [/no CN/, subject('acme', 'seg-a', 'x').slice(0, 2)],
  [/RDN order OU,O,CN/, [[{ type: 'OU', value: 'seg-a' }], [{ type: 'O', value: 'acme' }], [{ type: 'CN', value: 'sw-1' }]]],
  [
    /two OUs/,
    [[{ type: 'O', value: 'acme' }], [{ type: 'OU', value: 'seg-a' }], [{ type: 'OU', value: 'admin' }], [{ type: 'CN', value: 'two-1' }]],
  ],
  [/OU=seg-b CN=devb-1/, subject('acme', 'seg-b', 'devb-1')],
  [/CN=svc-1/, subject('acme', 'svc-ingest', 'svc-1')],
  [/./, subject('acme', 'seg-a', 'dev-1')],
];

/** The text under which the entry was recorded, where it was not the templated one. */
const TEXTS: [RegExp, string][] = [
  [/ENDS in/, `{allow, all, all, ["end/\${cert_common_name}", "cid/\${clientid}/x"]}.\n{deny, all}.\n`],
  [/t\/\+ and u\/\+\/x/, '{allow, all, subscribe, ["t/+", "u/+/x"]}.\n{allow, all, publish, ["t/+"]}.\n{deny, all}.\n'],
  [/only subscribe t\/\+/, '{allow, all, subscribe, ["t/+"]}.\n{deny, all}.\n'],
  [/\{eq,"t\/\+"\}/, '{allow, all, subscribe, [{eq,"t/+"}]}.\n{deny, all}.\n'],
  [/deny # then allow all/, '{deny, all, all, ["#"]}.\n{allow, all}.\n'],
  [/./, ACME_TEXT],
];

const STRICT = "nth(1, regex_extract(dn, '^CN=[A-Za-z0-9][A-Za-z0-9_-]{0,62},OU=([a-z0-9-]{1,63}),O=acme$'))";
// Finds the first OU after whatever the CN says, also where there is none.
const LOOSE = "nth(1, regex_extract(dn, 'OU=([a-z0-9-]+),O=acme$'))";

function pick<T>(table: [RegExp, T][], name: string): T {
  const found = table.find(([pattern]) => pattern.test(name));
  if (!found) throw new Error(`nothing for ${name}`);
  return found[1];
}

async function prepare(stage: Stage, { name }: Entry): Promise<void> {
  const zone = (await stage.call('GET', '/configs/global_zone')).body as JsonObject;
  const expression = /loose|ENDS/.test(name) ? LOOSE : STRICT;
  const mqtt = { ...(zone.mqtt as JsonObject), client_attrs_init: [{ set_as_attr: 'seg', expression }] };
  await stage.call('PUT', '/configs/global_zone', { ...zone, mqtt });
  await stage.text(pick(TEXTS, name));
  stage.identities.set(name, await stage.world.ca.issue(pick(CERTIFICATES, name)));
}

export const security: Script = {
  observe(stage, entry) {
    return entry.suback === undefined ? rights(stage, entry) : wildcardDelivery(stage, entry);
  },
};

async function rights(stage: Stage, entry: Entry): Promise<Observed> {
  await prepare(stage, entry);
  const device = await stage.open(entry.name, { clientId: 'sneaky' });
  const wrong = await playRows(device, rowsOf(entry));
  await stage.end(entry.name);
  return { wrong };
}

/** What trap b means: the filter that was let through receives everything. */
async function wildcardDelivery(stage: Stage, entry: Entry): Promise<Observed> {
  await prepare(stage, entry);
  const device = await stage.open(entry.name);
  const suback = { granted: [(await device.subscribe('t/#')) === 'granted 1' ? 1 : 0x87] };
  for (const topic of ['t/a/b/c', 't']) await stage.call('POST', '/publish', { topic, payload: 'x', qos: 1 });
  await device.waitMessages(2);
  return { seen: { suback, received: device.received.map(({ topic }) => topic) } };
}
