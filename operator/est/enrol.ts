// One simpleenroll or simplereenroll, from who asks to the certificate: authenticate, check the request, burn the token, ask for the certificate, wait for it.
import type { X509Certificate } from 'node:crypto';
import {
  type Enrolment,
  type EstDevice,
  type EstProof,
  type Evidence,
  factoryCertificates,
  type GoodCsr,
  readCertificate,
  type Subject,
} from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { judgeOwnCertificate } from './authenticate.ts';
import { pemOfBody } from './body.ts';
import { type EstCode, type Refusal, refuse } from './errors.ts';
import type { Limiter } from './limits.ts';
import { createLine } from './line.ts';
import { createManufacturer } from './manufacturer.ts';
import type { Secrets } from './store.ts';
import { type Credentials, readBasic, type TokenVerdict } from './token.ts';

export type Client = {
  /** The leaf, and what the client sent with it. The TLS handshake proved that the client holds the key of the leaf, and nothing else. */
  certificate: X509Certificate | undefined;
  sent: readonly X509Certificate[];
  authorization: string | undefined;
};

export type EnrolDeps = {
  enrolment: Enrolment;
  secrets: Secrets;
  /** CAs whose certificates may re-enrol. */
  authorities: () => readonly X509Certificate[];
  perDevice: Limiter;
  /** How long a client is kept waiting before it is told to come again. */
  waitMs: number;
  clock: Clock;
  log: Log;
};

export type Enrolled = { certificate: string };
/** `evidence`: there is no Device yet, and the request is to make one. */
type Proved = { device: EstDevice; proof: EstProof; credentials?: Credentials; evidence?: Evidence };

const { isSignedByOneOf } = factoryCertificates;

/** Requests of one Device that may be under way: a rollback and its retry, not a way to fill the API server. */
const MOST_UNDER_WAY = 3;
/** Of this server, all devices together. */
const MOST_UNJUDGED = 4;
const JUDGED_MS = 2_000;
const RETRY_SECONDS = 5;
const OBJECTS_LIMIT_RETRY_SECONDS = 30;

export function createEnrol(deps: EnrolDeps) {
  const { enrolment, secrets, clock } = deps;
  const manufacturer = createManufacturer(deps);
  const line = createLine(MOST_UNJUDGED, clock);

  async function enrol(client: Client, body: Buffer, again: boolean, signal: AbortSignal): Promise<Enrolled | Refusal> {
    const problem = enrolment.problem();
    if (problem !== undefined) return refuse('HR-EST-043', problem, RETRY_SECONDS);
    const request = pemOfBody(body);
    if ('code' in request) return request;
    const proved = again ? byOwnCertificate(client) : await authenticate(client, request.pem, signal);
    if ('code' in proved) return proved;
    const { device, credentials } = proved;
    const checked = enrolment.check(device, request.pem);
    // What a stranger may learn before the token was looked at is what the manifest of the Device says to everybody who guesses its name: nothing.
    const verdict = credentials === undefined ? undefined : await tokenRefusal(credentials, hashOf(checked), signal);
    if (verdict !== undefined) return verdict;
    if ('refused' in checked) return refused(checked);
    if (!deps.perDevice.take(device.uid || device.key)) return refuse('HR-EST-040', undefined, OBJECTS_LIMIT_RETRY_SECONDS);
    return await obtain(proved, checked.csr, signal);
  }

  async function authenticate(client: Client, pem: string, signal: AbortSignal): Promise<Proved | Refusal> {
    if (client.authorization !== undefined) {
      const credentials = readBasic(client.authorization);
      const device =
        credentials === undefined ? undefined : enrolment.device({ name: credentials.device, namespace: credentials.namespace });
      if (credentials === undefined || device === undefined || device.bootstrap !== 'Token' || device.revoked) return refuse('HR-EST-002');
      return { device, proof: { how: 'Token' }, credentials };
    }
    const { certificate } = client;
    if (certificate === undefined) return refuse('HR-EST-001');
    const known = enrolment.certificate(factoryCertificates.fingerprintOf(certificate))?.via === 'Existing';
    if (known || isSignedByOneOf(certificate, deps.authorities(), clock.now())) return byOwnCertificate(client);
    return await manufacturer.prove({ certificate, sent: client.sent }, pem, signal);
  }

  function byOwnCertificate({ certificate }: Client): Proved | Refusal {
    if (certificate === undefined) return refuse('HR-EST-001');
    const facts = readCertificate(certificate.toString());
    if (facts === undefined) return refuse('HR-EST-015');
    const now = clock.now();
    const entry = enrolment.certificate(facts.sha256);
    const [name = '', namespace = ''] = (entry?.device ?? '').split('.');
    const device = entry === undefined ? undefined : enrolment.device({ name, namespace });
    const signedByOurs = isSignedByOneOf(certificate, deps.authorities(), now);
    const refusal = judgeOwnCertificate({ now, facts, signedByOurs, entry, device });
    return refusal ?? { device: device as EstDevice, proof: { how: 'Certificate', sha256: facts.sha256 } };
  }

  async function tokenRefusal(
    { device, namespace, token }: Credentials,
    csrHash: string,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    return refusalOf(await secrets.judgeToken({ name: device, namespace }, token, csrHash, signal));
  }

  /** All checks have passed. The token is burnt for this very request before the request is made, so a crash in between leaves a client that may repeat it. */
  async function obtain({ device, proof, credentials, evidence }: Proved, csr: GoodCsr, signal: AbortSignal): Promise<Enrolled | Refusal> {
    const known = enrolment.progress(device, csr).state !== 'none';
    if (!known && enrolment.underWay(device) >= MOST_UNDER_WAY) return refuse('HR-EST-040', undefined, OBJECTS_LIMIT_RETRY_SECONDS);
    if (credentials !== undefined) {
      const { token, namespace } = credentials;
      const refusal = refusalOf(await secrets.useToken({ name: credentials.device, namespace }, token, csr.hash, signal));
      if (refusal !== undefined) return refusal;
    }
    if (enrolment.progress(device, csr).state === 'none') {
      const leave = await line.enter(deps.waitMs, signal);
      if (leave === undefined) return refuse('HR-EST-041', undefined, RETRY_SECONDS);
      await enrolment.request(device, csr, proof, evidence, signal).finally(() => void judged(device, csr, signal).finally(leave));
    }
    return await outcome(device, csr, signal);
  }

  /** Until the operator has judged the request. Never rejects; nobody holds a place in the line for long. */
  async function judged(device: EstDevice, csr: GoodCsr, signal: AbortSignal): Promise<void> {
    const until = clock.elapsed() + JUDGED_MS;
    for (;;) {
      const { state } = enrolment.progress(device, csr);
      const leftMs = until - clock.elapsed();
      if ((state !== 'none' && state !== 'asked') || leftMs <= 0) return;
      const gone = await nextChange(device, leftMs, signal).catch(() => 'gone');
      if (gone !== undefined) return;
    }
  }

  async function outcome(device: EstDevice, csr: GoodCsr, signal: AbortSignal): Promise<Enrolled | Refusal> {
    const until = clock.elapsed() + deps.waitMs;
    for (;;) {
      const progress = enrolment.progress(device, csr);
      if (progress.state === 'issued') return { certificate: progress.certificate };
      if (progress.state === 'refused') return passedOn('HR-EST-042', progress.message);
      const leftMs = until - clock.elapsed();
      if (leftMs <= 0) return refuse('HR-EST-041', undefined, RETRY_SECONDS);
      await nextChange(device, leftMs, signal);
    }
  }

  /** Until something changed, or the time is over. */
  async function nextChange(device: EstDevice, leftMs: number, signal: AbortSignal): Promise<void> {
    const woken = Promise.withResolvers<void>();
    const stop = enrolment.onChange(device.key, woken.resolve);
    const timer = clock.setTimer(leftMs, woken.resolve);
    const abort = (): void => woken.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      await woken.promise;
    } finally {
      stop();
      timer.cancel();
      signal.removeEventListener('abort', abort);
    }
  }

  /** The subject that this device has to ask for, when its factory certificate says who it is. */
  async function subjectFor({ certificate, sent }: Client, signal: AbortSignal): Promise<Subject | undefined> {
    if (certificate === undefined || enrolment.problem() !== undefined || isSignedByOneOf(certificate, deps.authorities(), clock.now()))
      return undefined;
    const proved = await manufacturer.prove({ certificate, sent }, undefined, signal);
    return 'code' in proved ? undefined : proved.device.subject;
  }

  return { enrol, subjectFor };
}

type Checked = ReturnType<Enrolment['check']>;

/** Of a request that is refused anyway: matches no use. */
function hashOf(checked: Checked): string {
  return 'csr' in checked ? checked.csr.hash : '';
}

function refused(checked: Extract<Checked, { message: string }>): Refusal {
  return passedOn(checked.refused === 'form' ? 'HR-EST-033' : 'HR-EST-042', checked.message);
}

/** What another table says, with its own cure, under the HTTP status of ours. */
function passedOn(code: EstCode, message: string): Refusal {
  return message.includes('Cure: ') ? { code, message } : refuse(code, message);
}

function refusalOf(verdict: TokenVerdict): Refusal | undefined {
  switch (verdict) {
    case 'other':
      return refuse('HR-EST-002');
    case 'expired':
      return refuse('HR-EST-003');
    case 'used':
      return refuse('HR-EST-004');
    default:
      return undefined;
  }
}
