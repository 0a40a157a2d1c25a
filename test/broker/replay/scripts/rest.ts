/** Files that need little more than REST. */

import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonObject } from '../../config.ts';
import type { Stage } from '../stage.ts';
import type { Script } from './script.ts';

/** The ACL text under which those files were recorded. */
export const ACME_TEXT = `{allow, {client_attr,"seg",{re,"^[a-z0-9-]+$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["v1/\${client_attrs.seg}/\${cert_common_name}/up/#"]}.
{allow, {client_attr,"seg",{re,"^[a-z0-9-]+$"}}, subscribe, ["v1/\${client_attrs.seg}/\${cert_common_name}/down/#", "v1/\${client_attrs.seg}/all/down/#"]}.
{allow, {client_attr,"seg","seg-a"}, publish, ["v1/seg-a/shared/alarms"]}.
{allow, {client_attr,"seg","svc-ingest"}, subscribe, ["v1/#"]}.
{deny, all}.
`;
const withText = (stage: Stage) => stage.text(ACME_TEXT);

async function logIn(stage: Stage): Promise<void> {
  const { dashboardPassword } = stage.world.standIn;
  stage.names.set('<password>', dashboardPassword);
  const { body } = await stage.call('POST', '/login', { username: 'admin', password: dashboardPassword });
  stage.names.set('<login token>', String((body as JsonObject).token));
}

export const apiAuth: Script = { setUp: logIn };

export const apiKeyBootstrap: Script = {
  setUp: logIn,
  before: {
    async 'DELETE key key2 by a dashboard login'({ world }) {
      await appendFile(join(world.dir, 'etc', 'keys'), 'key2:s2\nkey4:s4\nkey7:s7:administrator\n');
      const text = `api_key.bootstrap_file = "${join(world.dir, 'etc', 'keys')}"`;
      await world.standIn.request('PUT', '/configs', { text, headers: { 'content-type': 'text/plain' } });
    },
  },
};

const RULES = '/authorization/sources/built_in_database/rules/clients';
const RULE = { topic: 'v1/seg-a/dev-1/x', permission: 'allow', action: 'publish' };

async function enableTable(stage: Stage, enable: boolean): Promise<void> {
  await stage.call('PUT', '/authorization/sources/built_in_database', { type: 'built_in_database', enable });
}

export const authzRules: Script = {
  setUp: withText,
  before: {
    async 'list, limit 2 page 1'(stage) {
      for (const clientid of ['pg-0', 'pg-1', 'pg-2', 'pg-3', 'pg-4'])
        await stage.call('PUT', `${RULES}/${clientid}`, { clientid, rules: [RULE] });
    },
    'PUT rule while the source is disabled': (stage) => enableTable(stage, false),
    'DELETE the source itself': (stage) => enableTable(stage, true),
  },
};

export const authzSettings: Script = { setUp: withText };
export const authzSources: Script = { setUp: withText };
export const configsAuthorization: Script = { setUp: withText };

export const banned: Script = {
  before: {
    async 'GET 0.6 s after until passed (swept yet?)'(stage) {
      const until = Math.floor(Date.now() / 1000) + 2;
      await stage.call('POST', '/banned', { as: 'clientid', who: 'ttl-1', by: 'op', until });
      await sleep(until * 1000 + 600 - Date.now());
    },
  },
};

export const flapping: Script = {
  before: {
    async 'GET the record it wrote'(stage) {
      const { body } = await stage.call('GET', '/configs/global_zone');
      const flapping_detect = { enable: true, window_time: '10s', max_count: 3, ban_time: '1m' };
      await stage.call('PUT', '/configs/global_zone', { ...(body as JsonObject), flapping_detect });
      for (let connects = 0; connects < 3; connects++) {
        await stage.open('dev-3');
        await stage.end('dev-3');
      }
      // Connected means counted: the ban is there before a client sees its connection end.
      const next = await stage.attempt('dev-3');
      if (next.ok) throw new Error('the fourth connect was let in');
    },
  },
};
