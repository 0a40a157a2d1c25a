/** API keys from the bootstrap file, the dashboard's one user, and the refusals of emqx_mgmt_auth. */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { bad, equalSecret, type Response } from './http.ts';

export type ApiKey = { key: string; secret: string; name: string; createdAt: number };

export class ApiKeys {
  readonly keys = new Map<string, ApiKey>();
  readonly #tokens = new Set<string>();
  readonly #passwordFile: string;

  constructor(options: { file: string; passwordFile: string }) {
    this.#passwordFile = options.passwordFile;
    this.load(options.file);
  }

  /** `key:secret[:administrator]` a line; the first bad line ends the reading without a word, blank lines are skipped. */
  load(file: string): void {
    if (!existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split(/\r?\n/)) {
      if (line === '') continue;
      const [key, secret, role, ...more] = line.split(':');
      if (!key || !secret || more.length > 0 || (role !== undefined && role !== 'administrator')) return;
      const name = `from_bootstrap_file_${createHash('sha512').update(key).digest('hex').slice(0, 16)}`;
      this.keys.set(key, { key, secret, name, createdAt: this.keys.get(key)?.createdAt ?? Date.now() });
    }
  }

  login(username: string, password: string): string | undefined {
    if (username !== 'admin' || !existsSync(this.#passwordFile)) return undefined;
    if (!equalSecret(password, readFileSync(this.#passwordFile, 'utf8'))) return undefined;
    const token = randomBytes(24).toString('base64url');
    this.#tokens.add(token);
    return token;
  }

  deleteByName(name: string): boolean {
    const found = [...this.keys.values()].find((key) => key.name === name);
    return found !== undefined && this.keys.delete(found.key);
  }

  /** Undefined when the caller may go on. */
  authorize(header: string | undefined, path: string): Response | undefined {
    if (header === undefined) return unauthorized('AUTHORIZATION_HEADER_ERROR', 'Support authorization: basic/bearer ');
    const [scheme = '', credentials = ''] = header.split(' ');
    if (scheme.toLowerCase() === 'bearer') {
      return this.#tokens.has(credentials)
        ? undefined
        : { status: 401, body: { code: 'BAD_TOKEN', message: 'Get a token by POST /login' } };
    }
    if (scheme.toLowerCase() !== 'basic' || !/^[A-Za-z0-9+/]+=*$/.test(credentials)) return { status: 400 };
    const [key = '', secret = ''] = Buffer.from(credentials, 'base64').toString('utf8').split(/:(.*)/s);
    const known = this.keys.get(key);
    if (!known || !equalSecret(secret, known.secret)) return unauthorized('BAD_API_KEY_OR_SECRET', 'Check api_key/api_secret');
    const own = /^\/api\/v5\/(api_key|users|logout)(\/|$)/.exec(path)?.[1];
    if (own === undefined) return undefined;
    return unauthorized('API_KEY_NOT_ALLOW', `Please use bearer Token instead, using API key/secret in ${own} path is not permitted`);
  }
}

function unauthorized(code: string, message: string): Response {
  return { ...bad(code, message, 401), headers: { 'www-authenticate': 'Basic Realm="emqx-dashboard"' } };
}
