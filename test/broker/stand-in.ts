/** Starts the EMQX stand-in as an OS process of its own, so that a SIGKILL is a real one. It ends with the program that started it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../controlplane/ports.ts';
import type { Profile } from './config.ts';
import { basic, createRestClient, type RestAnswer, type RestRequest } from './rest-client.ts';

export type StandIn = {
  /** https with the server certificate; the same after a restart, as is `mqttPort`. */
  readonly restUrl: string;
  readonly mqttPort: number;
  /** Of the listeners that are closed until somebody opens them. */
  readonly ports: { tcp: number; ws: number; wss: number };
  readonly apiKey: { key: string; secret: string };
  readonly dashboardPassword: string;
  /** Of the process that runs now; another one after a restart. */
  readonly pid: number;
  /** SIGTERM: everything is written down first. */
  stop(): Promise<void>;
  /** SIGKILL: loses the bans and rules of the last 3 s, retained messages and sessions. */
  kill(): Promise<void>;
  /** Starts it again on the same ports, after a SIGTERM where it still runs; resolves when it answers. `wipe`: without its data directory. */
  restart(options?: { wipe?: boolean }): Promise<void>;
  /** As a kubelet that replaces the Secret behind the server certificate: in force for MQTT and REST after the next start. */
  replaceCertificate(tls: { cert: string; key: string }): void;
  /** From now on this ACL text decides, while REST goes on to show the one that was written: until the next write, or a restart. */
  enforceInstead(text: string): void;
  /** The REST API with the API key; `path` begins behind `/api/v5`. */
  request(method: string, path: string, request?: RestRequest): Promise<RestAnswer>;
  /** Who holds an open connection now. */
  clients(): Promise<ConnectedClient[]>;
};

/** `username` is the MD5 of the certificate. */
export type ConnectedClient = { clientid: string; username: string };

export type StandInOptions = {
  /** Kept between restarts: configuration in `etc`, data in `data`, log in `stand-in.log`. */
  dir: string;
  host?: string;
  /** PEM: the roots that devices' certificates are verified against, and the server's own certificate for MQTT and REST. */
  tls: { ca: string; cert: string; key: string };
  /** `recorded`: the configuration of the recordings instead of the reference profile. */
  profile?: Profile;
};

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
// Half a second on an idle machine; on a busy one this must not be what fails.
const READY_WITHIN_MS = 60_000;
const GRACE_MS = 10_000;

export async function startStandIn(options: StandInOptions): Promise<StandIn> {
  const host = options.host ?? '127.0.0.1';
  const apiKey = { key: 'opkey', secret: randomBytes(24).toString('base64url') };
  const dashboardPassword = randomBytes(24).toString('base64url');
  writeFiles(options, { keys: `${apiKey.key}:${apiKey.secret}\n`, dashboard: dashboardPassword });
  const first = await startOnFreePorts(options, host);
  const { args, ports } = first;
  let running = first.child;
  const restUrl = `https://${host}:${ports.rest}`;
  const clientOf = (trust: string) => createRestClient({ url: restUrl, trust, authorization: basic(apiKey) });
  let trusted = options.tls.cert;
  let rest = clientOf(trusted);
  return {
    restUrl,
    mqttPort: ports.mqtt,
    ports: { tcp: ports.plain, ws: ports.ws, wss: ports.wss },
    apiKey,
    dashboardPassword,
    get pid() {
      return running.pid ?? -1;
    },
    async stop() {
      rest.close();
      await end(running, 'SIGTERM');
    },
    kill: () => end(running, 'SIGKILL'),
    async restart({ wipe } = {}) {
      await end(running, 'SIGTERM');
      if (wipe === true) rmSync(join(options.dir, 'data'), { recursive: true, force: true });
      running = await relaunch(options.dir, args);
    },
    replaceCertificate({ cert, key }) {
      writeServerFiles(options.dir, { cert, key });
      rest.close();
      trusted = `${trusted}\n${cert}`;
      rest = clientOf(trusted);
    },
    enforceInstead: (text) => void running.send(text),
    request: (method, path, request) => rest(method, path, request),
    async clients() {
      const { body } = await rest('GET', '/clients?conn_state=connected&limit=10000&fields=clientid,username');
      return (body as { data: ConnectedClient[] }).data;
    },
  };
}

/** What stands in the image and its mounted Secrets: certificates, API keys, and the bans that are there before anybody connects. */
function writeFiles({ dir, tls, profile }: StandInOptions, secrets: { keys: string; dashboard: string }): void {
  const etc = join(dir, 'etc');
  mkdirSync(etc, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(etc, name), text, { mode: 0o600 });
  write('ca.crt', tls.ca);
  writeServerFiles(dir, tls);
  write('keys', secrets.keys);
  write('dashboard', secrets.dashboard);
  if (profile !== 'recorded') write('banned.csv', BANNED);
}

function writeServerFiles(dir: string, tls: { cert: string; key: string }): void {
  writeFileSync(join(dir, 'etc', 'tls.crt'), tls.cert, { mode: 0o600 });
  writeFileSync(join(dir, 'etc', 'tls.key'), tls.key, { mode: 0o600 });
}

// Whoever has no certificate of our form is given this client id (`clientid_override`), and it is banned from the first boot on.
const BANNED = `as,who,reason,at,until,by
clientid,invalid-certificate,subject not of the required form,,,operator/hedgerow
`;

/** Between the look for a free port and its use somebody else may have taken it. */
async function startOnFreePorts({ dir, profile = 'hedgerow' }: StandInOptions, host: string) {
  for (let attempt = 1; ; attempt++) {
    // The plain ports stay closed unless somebody opens them by REST, as happens to people.
    const ports = await freePorts(['mqtt', 'rest', 'plain', 'ws', 'wss'], host);
    const args = [
      ...['--dir', dir, '--host', host, '--profile', profile],
      ...Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, String(port)]),
    ];
    try {
      return { ports, args, child: await launch(dir, args) };
    } catch (error) {
      if (!isTaken(error) || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** On the same ports: another test that looks for a free one holds it for a moment. */
async function relaunch(dir: string, args: string[]): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await launch(dir, args);
    } catch (error) {
      if (!isTaken(error) || attempt === PORT_ATTEMPTS) throw error;
      await sleep(200);
    }
  }
}

const PORT_ATTEMPTS = 10;

function isTaken(error: unknown): boolean {
  return error instanceof Error && error.message.includes('EADDRINUSE');
}

async function launch(dir: string, args: string[]): Promise<ChildProcess> {
  const logFile = join(dir, 'stand-in.log');
  const log = openSync(logFile, 'a', 0o600);
  const before = fstatSync(log).size;
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', log, log, 'ipc'] });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the broker stand-in ${why}:\n${lastLines(logFile, before)}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`was not ready within ${READY_WITHIN_MS} ms`);
    }, READY_WITHIN_MS);
    child.once('error', (error) => fail(`could not be started (${error.message})`));
    const ended = (code: number | null, signal: string | null): void => {
      clearTimeout(timer);
      fail(`ended with ${signal ?? code}`);
    };
    child.once('exit', ended);
    child.once('message', () => {
      // From here on its end is nobody's failure, and its log may be gone before it is.
      child.off('exit', ended);
      clearTimeout(timer);
      resolve();
    });
  });
  // The process lives as long as this one; this one may end without it.
  child.channel?.unref();
  child.unref();
  return child;
}

async function end(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.ref();
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  await gone;
  clearTimeout(timer);
}

/** Of what was written behind `from`. */
function lastLines(file: string, from: number): string {
  return readFileSync(file).subarray(from).toString('utf8').trimEnd().split('\n').slice(-20).join('\n');
}
