// The form of a directive, field by field.

export type Action = 'Install' | 'Stage' | 'Activate' | 'Cancel' | 'Revert';
export type Artifact = { digest: string; size: number; version: string; securityCounter: number; urls?: string[] };
export type Directive = {
  v: 1;
  aud: string;
  component: string;
  seq: number;
  fence: number;
  iat: number;
  exp: number;
  nonce: string;
  echo?: string;
  action: Action;
  release?: { digest: string; urls: string[]; roots?: { version: number; url: string } };
  artifact?: Artifact;
  timeouts: { download: number; install: number; confirm: number };
  jitter: number;
  forced: boolean;
};

type Check = (value: unknown) => boolean;
const COUNTER = 0x7fff_ffff;
const MOST = Number.MAX_SAFE_INTEGER;

const number =
  (least: number, most: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
const text =
  (most: number, pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && value.length <= most && pattern.test(value);
/** Exactly these fields; a name that ends in `?` may be missing. */
const form =
  (fields: Record<string, Check>): Check =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    const names = Object.keys(fields);
    const given = value as Record<string, unknown>;
    const isKnown = Object.keys(given).every((name) => names.includes(name) || names.includes(`${name}?`));
    return (
      isKnown &&
      Object.entries(fields).every(
        ([name, check]) => (name.endsWith('?') && !(name.slice(0, -1) in given)) || check(given[name.replace('?', '')]),
      )
    );
  };

const digest = text(71, /^sha256:[0-9a-f]{64}$/);
const nonce = text(32, /^[0-9a-f]{32}$/);
const label = text(62, /^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$/);
const version = text(64, /^(0|[1-9]\d*)[.](0|[1-9]\d*)[.](0|[1-9]\d*)(-[0-9A-Za-z.-]+)?([+][0-9A-Za-z.-]+)?$/);
const url = text(512, /^https?:[/][/][!-~]{1,500}$/);
const urls: Check = (value) => Array.isArray(value) && value.length >= 1 && value.length <= 4 && value.every(url);

const shape = form({
  v: (value) => value === 1,
  aud: text(64, /^[a-z0-9-]+[.][a-z0-9-]+$/),
  component: label,
  seq: number(1, MOST),
  fence: number(0, MOST),
  iat: number(0, 0xf_ffff_ffff),
  exp: number(0, 0xf_ffff_ffff),
  nonce,
  'echo?': nonce,
  action: (value) => ['Install', 'Stage', 'Activate', 'Cancel', 'Revert'].includes(value as string),
  'release?': form({ digest, urls, 'roots?': form({ version: number(1, COUNTER), url }) }),
  'artifact?': form({ digest, size: number(1, 2 ** 36), version, securityCounter: number(0, COUNTER), 'urls?': urls }),
  timeouts: form({ download: number(1, 604_800), install: number(1, 86_400), confirm: number(1, 86_400) }),
  jitter: number(0, 86_400),
  forced: (value) => typeof value === 'boolean',
});

export function directiveOf(value: unknown): Directive | undefined {
  if (!shape(value)) return undefined;
  const directive = value as Directive;
  const { action, artifact, release, iat, exp } = directive;
  const brings = action === 'Install' || action === 'Stage';
  const fits =
    brings === (release !== undefined) &&
    (action === 'Cancel') === (artifact === undefined) &&
    (artifact === undefined || brings === (artifact.urls !== undefined));
  return fits && exp > iat && exp - iat <= 31 * 86_400 ? directive : undefined;
}
