// Whether a driver of a rollout gets the certificate that it asks for, and whether it may still have it. Pure.
import { rolloutClient, siteUri } from '../api/names.ts';
import { refOf } from '../kube/object.ts';
import { type KeyKind, keyOfCsr, verifyCsr, verifyUriCsr } from './csr.ts';
import { DIRECTIVE_USAGES, DRIVER_CERTIFICATE_MS, driverRequestName, driverSubject } from './driver-certificate.ts';
import type { DriverFacts, WaveOfDriver } from './driver-facts.ts';
import { explain, type IdentityCode } from './errors.ts';
import { USAGES } from './request-facts.ts';

/** What drivers may ask for. Issuers as `<kind>/<namespace>/<name>`. */
export type DriverTerms = {
  /** The operator's own namespace. */
  namespace: string;
  /** The user name of their ServiceAccount. */
  user: string;
  issuers: { mqtt: string; directive: string };
};

export type DriverInput = {
  now: number;
  request: DriverFacts;
  terms: DriverTerms;
  /** The FirmwareWave of the name that the request gives. */
  wave: WaveOfDriver | undefined;
};

export type DriverDecision =
  | { do: 'approve' }
  | { do: 'deny'; code: IdentityCode; message: string }
  | { do: 'delete' }
  | { do: 'nothing'; afterMs?: number };

type Refusal = { code: IdentityCode; found?: string; cure?: string };

/** The watch of waves may be this far behind the Job of a wave. */
const BEHIND_MS = 30_000;
const LOOK_MS = 1_000;
/** A driver that was denied reads why, and deletes its request. */
const DENIED_MS = 3_600_000;

export function decideDriver(input: DriverInput): DriverDecision {
  const { request, now } = input;
  if (request.state !== 'new') return hasServed(input) ? { do: 'delete' } : { do: 'nothing', afterMs: dueMs(input) };
  const refusal = refusalOf(input);
  if (refusal === undefined) return { do: 'approve' };
  if (refusal.code === 'HR-ID-092' && input.wave === undefined && now - request.createdAtMs < BEHIND_MS)
    return { do: 'nothing', afterMs: LOOK_MS };
  return { do: 'deny', code: refusal.code, message: explain(refusal.code, refusal.found, refusal.cure) };
}

/**
 * Whether this certificate is one of a driver at work. While nobody has seen what was issued for an approved request, any certificate is taken: its client id is bound
 * to the key of the request. A driver may be at the broker before the watch shows its certificate, and a ban would be for good.
 */
export function isDriver(input: DriverInput, md5: string): boolean {
  const { request, now } = input;
  if (request.kind !== 'mqtt' || !isUnderWay(input) || whoProblem(input) !== undefined || request.clientId !== clientOf(request))
    return false;
  if (request.state === 'issued') return request.issued?.md5 === md5 && now < request.issued.notAfterMs;
  return request.state === 'approved';
}

function refusalOf(input: DriverInput): Refusal | undefined {
  return whoProblem(input) ?? waveProblem(input) ?? formProblem(input.request, input.terms) ?? csrProblem(input.request);
}

function whoProblem({ request, terms }: DriverInput): Refusal | undefined {
  if (request.username !== terms.user) return { code: 'HR-ID-091', found: `it was made by ${request.username ?? 'nobody knows whom'}` };
  if (request.namespace !== terms.namespace) return { code: 'HR-ID-091', found: `it stands in namespace ${request.namespace}` };
  return undefined;
}

function waveProblem({ request, wave }: DriverInput): Refusal | undefined {
  const found = `FirmwareWave ${request.wave.slice(0, 130)}`;
  if (wave === undefined) return { code: 'HR-ID-092', found: `there is no ${found}` };
  if (wave.uid !== request.waveUid) return { code: 'HR-ID-092', found: `${found} is another one than the driver began with` };
  if (wave.ended) return { code: 'HR-ID-092', found: `${found} has ended` };
  const { kind } = request;
  if (kind !== 'mqtt' && kind !== 'directive') return { code: 'HR-ID-093', found: 'it is for neither of the two purposes of drivers' };
  const names = Array.from({ length: wave.shards }, (_, shard) => driverRequestName(wave.uid, shard, kind));
  return names.includes(request.name) ? undefined : { code: 'HR-ID-092', found: `its name is none of the drivers of ${found}` };
}

function formProblem(request: DriverFacts, { issuers }: DriverTerms): Refusal | undefined {
  const unlike = (found: string): Refusal => ({ code: 'HR-ID-093', found });
  const isMqtt = request.kind === 'mqtt';
  const issuer = isMqtt ? issuers.mqtt : issuers.directive;
  if (request.issuer !== issuer || request.group !== 'cert-manager.io') return unlike(`the issuer is ${request.issuer} and not ${issuer}`);
  if (request.isCa) return unlike('it asks for a CA');
  const usages = (isMqtt ? USAGES : DIRECTIVE_USAGES).join(',');
  if (request.usages !== usages) return unlike(`its usages are not exactly ${usages}`);
  const { durationMs } = request;
  if (durationMs === undefined || durationMs > DRIVER_CERTIFICATE_MS) return unlike('it asks for more than 7 days, or says no duration');
  return undefined;
}

function csrProblem(request: DriverFacts): Refusal | undefined {
  const verdict =
    request.kind === 'mqtt'
      ? verifyCsr(request.pem, driverSubject(clientOf(request) ?? ''))
      : verifyUriCsr(request.pem, siteUri(refOf(request.wave).namespace ?? ''));
  if (!verdict.ok) return { code: verdict.code, cure: CURE };
  return KEYS.has(verdict.keyKind) ? undefined : { code: 'HR-ID-093', found: `the key is ${verdict.keyKind}` };
}

/** What devices take of a directive key; a driver makes no other for the broker either. */
const KEYS: ReadonlySet<KeyKind> = new Set(['P-256', 'Ed25519']);
const CURE = 'a driver of this version asks for nothing else; find out who acts in its name';

/** The only client id that the key of the request may have. */
function clientOf(request: DriverFacts): string | undefined {
  const spki = keyOfCsr(request.pem);
  return spki === undefined ? undefined : rolloutClient(spki);
}

function isUnderWay({ request, wave }: DriverInput): boolean {
  return wave !== undefined && wave.uid === request.waveUid && !wave.ended;
}

/** Nothing of other people's is deleted, whatever label it has. */
function hasServed(input: DriverInput): boolean {
  const { request, now } = input;
  if (whoProblem(input) !== undefined) return false;
  if (request.state === 'denied' || request.state === 'failed') return now >= deniedUntil(request);
  return !isUnderWay(input) || now >= (request.issued?.notAfterMs ?? Number.POSITIVE_INFINITY);
}

function deniedUntil({ state, createdAtMs }: DriverFacts): number {
  return state === 'denied' || state === 'failed' ? createdAtMs + DENIED_MS : Number.POSITIVE_INFINITY;
}

/** ms until it has served by the clock alone. */
function dueMs({ request, now }: DriverInput): number {
  const at = Math.min(request.issued?.notAfterMs ?? Number.POSITIVE_INFINITY, deniedUntil(request));
  return Math.min(Math.max(at - now, LOOK_MS), DENIED_MS);
}
