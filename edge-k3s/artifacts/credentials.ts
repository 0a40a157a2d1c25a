// Who we are at a registry: a docker config.json, and the Bearer tokens that its token server gives for it (distribution-spec, "token authentication").
import { readFile } from 'node:fs/promises';
import { Refused } from './errors.ts';

/** `Basic <base64>`, undefined for a registry that the file does not know, or without a file. Read anew each time: a kubelet replaces it. */
export async function basicFor(registry: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Refused('HR-FW-419', 'the file of --registry-auth-file cannot be read');
  });
  return readDockerConfig(text, registry);
}

/** Throws `Refused` HR-FW-419; nothing of the file is repeated. */
export function readDockerConfig(text: string, registry: string): string | undefined {
  const { auths } = fields(json(text));
  for (const name of namesOf(registry)) {
    const entry = auths === undefined ? undefined : fields(auths)[name];
    if (entry === undefined) continue;
    const { auth, username, password } = fields(entry);
    if (typeof username === 'string' && typeof password === 'string')
      return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    if (typeof auth === 'string' && /^[A-Za-z0-9+/]+=*$/.test(auth)) return `Basic ${auth}`;
    throw new Refused('HR-FW-419', `the entry of ${registry} has neither auth nor username and password`);
  }
  return undefined;
}

export type Challenge = { scheme: 'bearer'; realm: string; service: string | undefined; scope: string | undefined } | { scheme: 'basic' };

/** WWW-Authenticate (RFC 9110 §11.6.1), the first challenge that we know. Pure and total. */
export function readChallenge(header: string): Challenge | undefined {
  if (header.length > 4096) return undefined;
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/i.exec(header)?.[1];
  if (bearer === undefined) return /(?:^|,\s*)basic(?:\s|$)/i.test(header) ? { scheme: 'basic' } : undefined;
  const parameters = new Map(
    [...bearer.matchAll(/([a-z_]{1,32})="([^"\\]{0,1024})"/gi)].map((found) => [found[1]?.toLowerCase(), found[2]]),
  );
  const realm = parameters.get('realm');
  return realm === undefined ? undefined : { scheme: 'bearer', realm, service: parameters.get('service'), scope: parameters.get('scope') };
}

/** Where the token is asked for; undefined when the realm is no https URL. `otherwise`: the scope where the challenge names none. */
export function tokenUrl({ realm, service, scope }: Extract<Challenge, { scheme: 'bearer' }>, otherwise: string): string | undefined {
  if (!URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') return undefined;
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope ?? otherwise);
  return url.href;
}

/** The answer of a token server; `lastsMs` is 60 s where it does not say. Undefined for what is none. */
export function readToken(text: string): { authorization: string; lastsMs: number } | undefined {
  try {
    const { token, access_token: access, expires_in: seconds } = fields(JSON.parse(text));
    const value = typeof token === 'string' ? token : access;
    if (typeof value !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(value)) return undefined;
    return {
      authorization: `Bearer ${value}`,
      lastsMs: 1000 * (typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 3600) : 60),
    };
  } catch {
    return undefined;
  }
}

/** As docker writes them: the host, and for its own registry a URL from long ago. */
function namesOf(registry: string): string[] {
  const hub = registry === 'docker.io' ? ['https://index.docker.io/v1/', 'index.docker.io', 'registry-1.docker.io'] : [];
  return [registry, `https://${registry}`, `https://${registry}/v2/`, `https://${registry}/v1/`, ...hub];
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('HR-FW-419', 'the file of --registry-auth-file is no JSON');
  }
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
