// Node-RED as the peer: parse, schema, threshold, alert; once with its own nodes, once as quick as it can be done (the MQTT node itself parses, one function node asks a
// validator that was compiled once). It acknowledges when it has read, keeps nothing on disk and detects nothing else; the gateway acknowledges when it is on disk.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot } from '../../controlplane/cache.ts';
import { withLock } from '../../controlplane/lock.ts';
import { type Pinned, SUBJECT_CORE, startPinned } from './pinned.ts';
import { ENVELOPE_SCHEMA, LIMIT, SEGMENT, type SubjectPlace } from './scene.ts';

const OWN = join(dirname(fileURLToPath(import.meta.url)), 'node-red');

/** The folder with its node_modules, outside the tree; installed by the lock file beside this one when it is not there. */
export async function installNodeRed(say: (line: string) => void): Promise<{ directory: string; version: string }> {
  const { dependencies } = JSON.parse(readFileSync(join(OWN, 'package.json'), 'utf8')) as { dependencies: { 'node-red': string } };
  const version = dependencies['node-red'];
  const directory = join(cacheRoot(), `node-red-${version}`);
  mkdirSync(cacheRoot(), { recursive: true });
  await withLock(`${directory}.lock`, { waiting: () => say('another run is installing Node-RED: waiting for it') }, async () =>
    install(directory, say),
  );
  return { directory, version };
}

function install(directory: string, say: (line: string) => void): void {
  const lock = readFileSync(join(OWN, 'package-lock.json'), 'utf8');
  const complete = join(directory, 'complete');
  if (existsSync(complete) && readFileSync(complete, 'utf8') === lock) return;
  say('installing Node-RED (about half a minute)');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(OWN, file), join(directory, file));
  const { status, stderr } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: directory,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Node-RED could not be installed: ${stderr.trim()}`);
  writeFileSync(complete, lock);
}

/** `nodes`: Node-RED's own nodes for each step, as one puts them together in the editor. `tuned`: what somebody does who counts microseconds. */
export type Flow = 'nodes' | 'tuned';

export function startNodeRed(directory: string, place: SubjectPlace, flow: Flow): Pinned {
  mkdirSync(place.directory, { recursive: true });
  writeFileSync(join(place.directory, 'flows.json'), JSON.stringify(flows(place, flow)));
  writeFileSync(join(place.directory, 'settings.cjs'), settings(directory));
  const red = join(directory, 'node_modules', 'node-red', 'red.js');
  return startPinned(SUBJECT_CORE, [red, '--userDir', place.directory, '--settings', join(place.directory, 'settings.cjs'), 'flows.json'], {
    env: { NODE_RED_ENABLE_PROJECTS: 'false' },
  });
}

/** No editor, no API, no telemetry: nothing but the flow runs. */
const settings = (directory: string): string => `
const Ajv = require(${JSON.stringify(join(directory, 'node_modules', 'ajv', 'dist', '2020.js'))});
module.exports = {
  flowFile: 'flows.json',
  uiPort: 0,
  uiHost: '127.0.0.1',
  httpAdminRoot: false,
  httpNodeRoot: false,
  disableEditor: true,
  telemetry: { enabled: false, updateNotification: false },
  credentialSecret: false,
  logging: { console: { level: 'fatal', metrics: false, audit: false } },
  functionGlobalContext: { schema: ${JSON.stringify(ENVELOPE_SCHEMA)}, isValid: new Ajv().compile(${JSON.stringify(ENVELOPE_SCHEMA)}), above: new Set() },
};
`;

/** The limit is told once each time that it is crossed, as the gateway's detector does. */
const THRESHOLD = `
const above = global.get('above');
const { ts, m } = msg.payload;
if (m[${JSON.stringify(LIMIT.field)}] <= ${LIMIT.max}) {
  above.delete(msg.topic);
  return null;
}
if (above.has(msg.topic)) return null;
above.add(msg.topic);
return { topic: 'alert/${SEGMENT}/range', payload: { device: msg.topic, atMs: ts, value: m[${JSON.stringify(LIMIT.field)}] } };
`;
/** The JSON node takes the schema from the message. */
const WITH_SCHEMA = "msg.schema = global.get('schema'); return msg;";
/** All in one function, with a validator that was compiled once. */
const TUNED = `if (!global.get('isValid')(msg.payload)) return null;${THRESHOLD}`;

function flows({ port, tls }: SubjectPlace, flow: Flow): object[] {
  const wire = { z: 'flow' };
  return [
    { id: 'flow', type: 'tab', label: 'air' },
    {
      id: 'tls',
      type: 'tls-config',
      cert: tls.cert,
      key: tls.key,
      ca: tls.ca,
      certType: 'files',
      servername: 'localhost',
      verifyservercert: true,
    },
    {
      ...{ id: 'broker', type: 'mqtt-broker', broker: '127.0.0.1', port: String(port), tls: 'tls', usetls: true, clientid: 'node-red' },
      ...{ protocolVersion: '5', keepalive: '60', cleansession: false, sessionExpiry: '3600', autoConnect: true },
    },
    { ...wire, id: 'out', type: 'mqtt out', topic: '', qos: '1', retain: 'false', broker: 'broker', wires: [] },
    ...(flow === 'nodes' ? ownNodes(wire) : oneFunction(wire)),
  ];
}

const mqttIn = (datatype: string, next: string) => ({
  ...{ id: 'in', type: 'mqtt in', topic: `dt/${SEGMENT}/#`, qos: '1', broker: 'broker', nl: false, rap: true, rh: 0 },
  ...{ datatype, wires: [[next]] },
});
const functionNode = (id: string, func: string, next: string) => ({
  ...{ id, type: 'function', func, outputs: 1, wires: [[next]] },
  initialize: '',
  finalize: '',
  libs: [],
});

const ownNodes = (wire: object): object[] => [
  { ...wire, ...mqttIn('utf8', 'schema') },
  { ...wire, ...functionNode('schema', WITH_SCHEMA, 'parse') },
  { ...wire, id: 'parse', type: 'json', property: 'payload', action: 'obj', pretty: false, wires: [['limit']] },
  { ...wire, ...functionNode('limit', THRESHOLD, 'out') },
];

const oneFunction = (wire: object): object[] => [
  { ...wire, ...mqttIn('json', 'judge') },
  { ...wire, ...functionNode('judge', TUNED, 'out') },
];
