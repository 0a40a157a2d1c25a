/** The process of the EMQX stand-in: `node main.ts --dir DIR --host H --mqtt-port N --rest-port N`. It ends when its parent does. */

import { mkdirSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Broker } from './broker.ts';
import { type BootFiles, bootConfig, type Profile } from './config.ts';
import { ConfigFile } from './config-file.ts';
import { Listeners } from './listeners.ts';
import { ApiKeys } from './rest/api-keys.ts';
import { readBans } from './rest/banned.ts';
import { createRest } from './rest/http.ts';
import { ROUTES } from './rest/routes.ts';
import { RuleEngine } from './rule-engine.ts';
import { Tables } from './tables.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    profile: { type: 'string', default: 'hedgerow' },
    'mqtt-port': { type: 'string', default: '8883' },
    'rest-port': { type: 'string', default: '18083' },
    'plain-port': { type: 'string', default: '1883' },
    'ws-port': { type: 'string', default: '8083' },
    'wss-port': { type: 'string', default: '8084' },
  },
});
if (values.dir === undefined) throw new Error('--dir is missing');
const etc = (name: string) => join(values.dir ?? '', 'etc', name);
const data = join(values.dir, 'data');
mkdirSync(data, { recursive: true });

const files: BootFiles = {
  ca: etc('ca.crt'),
  cert: etc('tls.crt'),
  key: etc('tls.key'),
  keys: etc('keys'),
  sslBind: `${values.host}:${values['mqtt-port']}`,
  tcpBind: `${values.host}:${values['plain-port']}`,
  wsBind: `${values.host}:${values['ws-port']}`,
  wssBind: `${values.host}:${values['wss-port']}`,
};
const configFile = new ConfigFile(data);
const config = configFile.load(bootConfig(values.profile as Profile, files));
const tables = new Tables(join(data, 'tables.jsonl'));
if (tables.empty) for (const ban of readBans(etc('banned.csv'))) tables.putBan(ban);
const broker = new Broker(config, tables);
const listeners = new Listeners(broker, files);
const rules = new RuleEngine(broker);
const keys = new ApiKeys({ file: config.api_key.bootstrap_file, passwordFile: etc('dashboard') });
const rest = createRest(
  ROUTES,
  {
    broker,
    listeners,
    keys,
    rules,
    version: '5.8.9',
    node: 'emqx@127.0.0.1',
    boot: files,
    dataDir: data,
    saveConfig: () => configFile.save(config),
  },
  { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') },
);

await Promise.all(Object.keys(config.listeners).map((id) => config.listeners[id]?.enable === true && listeners.start(id)));
await listen(rest as Server);
process.on('SIGTERM', stop);
process.on('SIGINT', () => undefined); // Ctrl-C in a terminal reaches every process of it; the parent stops this one in its turn.
process.on('disconnect', () => process.exit(0));
// Of a test: another text decides from now on than the one that is kept and shown, as on a node that missed a change.
process.on('message', (text) => broker.authorizer.enforceInstead(String(text)));
process.send?.('ready');

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(values['rest-port']), values.host, resolve);
  });
}

/** As EMQX at SIGTERM: tables are written, connections closed, and what lives in memory is gone. */
function stop(): void {
  tables.flush();
  broker.close();
  process.exit(0);
}
