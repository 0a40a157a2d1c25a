// The identity room at work: observe, decide, act, until there is an answer for a Device. What others see of it is in identity.ts.
import type { DeviceStatus } from '../api/device.ts';
import type { Key } from '../kube/object.ts';
import { type Answer, type Decision, decide, type Input, type IssuerFacts, inLine, type Lifecycle, type TrustState } from './decide.ts';
import { renewalOf } from './decide-rotation.ts';
import type { DeviceFacts } from './device-facts.ts';
import { createApprovers, createCertificates, createIssuers } from './foreign.ts';
import type { EnsureContext, Identity, IdentityDeps, IdentityResult } from './identity.ts';
import { CertificateLedgerLog } from './ledger.ts';
import { isPending, type LedgerEntry } from './ledger-entry.ts';
import type { ManagedFacts } from './managed-facts.ts';
import { opensAt, type Rotation } from './renewal.ts';
import { deviceKeyOf, type RequestFacts } from './request-facts.ts';
import { createRequests, keyInFlight } from './requests.ts';
import { createRetirement } from './retirement.ts';
import { firstOf, sameMaker } from './rivals.ts';
import { whoAmI } from './self.ts';
import { type Signer, signerOf } from './signer.ts';
import { deleteRequest, takeStep } from './steps.ts';
import { createTurns } from './turns.ts';

/** An issuance takes five steps; more than this is a decision that never ends. */
const MOST_STEPS = 16;
/** Measured: with 24 as many as in the line before them, with 4 cert-manager waits for us. */
const MOST_UNAPPROVED = 2;
/** Whoever was woken may be gone, and then wakes nobody: so each looks again by itself. */
const LINE_MS = 5_000;
const CERT_MANAGER = 'system:serviceaccount:cert-manager:cert-manager';

export function createRoom(deps: IdentityDeps): Identity {
  const { client, clock, log, devices } = deps;
  const certManager = deps.certManagerUser ?? CERT_MANAGER;
  let self: string | undefined;
  const wakers: ((device: Key) => void)[] = [];
  const wake = (device: Key): void => {
    for (const waker of wakers) waker(device);
  };
  /** Devices whose last answer was no certificate, and the issuer they would have it from. */
  const blocked = new Map<Key, string>();
  const wakeBlocked = (issuer?: string): void => {
    for (const [device, wants] of [...blocked]) if (issuer === undefined || wants === issuer) wake(device);
  };

  const shared = { client, clock, random: deps.random, log, metrics: deps.metrics };
  const ledger = new CertificateLedgerLog({
    client,
    namespace: deps.namespace,
    clock,
    log,
    ...(deps.lingerMs === undefined ? {} : { lingerMs: deps.lingerMs }),
  });
  const requestListeners: ((request: RequestFacts) => void)[] = [];
  const requests = createRequests(shared, (request, gone) => {
    for (const listener of requestListeners) listener(request);
    // Our own request is news only when cert-manager has answered it; a deletion only to who waits.
    const key = deviceKeyOf(request);
    const underWay = request.username === self && (request.state === 'new' || request.state === 'approved');
    if (gone ? blocked.has(key) : !underWay) wake(key);
  });
  const certificatesAhead = new Map<Key, ManagedFacts>();
  const certificates = createCertificates(shared, (key) => {
    certificatesAhead.delete(key);
    wake(key);
  });
  const issuers = createIssuers(shared, (issuer) => wakeBlocked(issuer));
  const accepted = (): ReadonlySet<string> =>
    new Set(['group:system:masters', ...(self === undefined ? [] : [self]), ...(deps.acceptedApprovers ?? [])]);
  const openNow = new Map<string, string>();
  const approverListeners: (() => void)[] = [];
  const turns = createTurns(MOST_UNAPPROVED, wake);
  const approvers = createApprovers(shared, accepted, () => wakeWhereApproversChanged());
  const reflectors = [requests.reflector, certificates, ...issuers.reflectors, ...approvers.reflectors];
  const ready = (): boolean => self !== undefined && devices.store.synced && reflectors.every((reflector) => reflector.store.synced);

  function trust(request: RequestFacts): TrustState {
    const signer = deps.authorities === undefined ? undefined : signerOf(request.certificate ?? '', request.ca);
    return signer === undefined ? 'none' : (deps.authorities?.state(signer.id) ?? 'none');
  }

  function issuerOf(device: DeviceFacts): IssuerFacts {
    return issuers.state(device.issuerRef ?? deps.defaultIssuer, device.namespace);
  }

  function wakeWhereApproversChanged(): void {
    if (!ready()) return;
    for (const [issuer, before] of openNow) {
      const now = approvers.open(issuer).join();
      if (now === before) continue;
      openNow.set(issuer, now);
      for (const listener of approverListeners) listener();
      for (const device of devices.store.values()) if (issuerOf(device).key === issuer) wake(device.key);
    }
  }

  function openFor(issuer: string): string[] {
    const open = approvers.open(issuer);
    if (!openNow.has(issuer)) openNow.set(issuer, open.join());
    return open;
  }

  function observe(device: DeviceFacts, lifecycle: Lifecycle, seen: Pick<Input, 'looked' | 'nameTaker' | 'rotation'>): Input {
    const issuer = issuerOf(device);
    const shown = certificates.store.get(device.key);
    const managed = device.enrollment === 'Managed' ? (certificatesAhead.get(device.key) ?? shown) : undefined;
    const hasCertificate = (other: DeviceFacts): boolean =>
      ledger.byDevice(`${other.name}.${other.namespace}`).some((entry) => entry.deviceUid === other.uid && entry.revoked === undefined);
    const withSerial =
      device.serial === undefined ? [] : sameMaker(device, devices.store.by('identitySerial', `${device.namespace}/${device.serial}`));
    const claimantOfKey = (spki: string): string | undefined =>
      devices.store.by('identityKey', spki).find((other) => other.uid !== device.uid)?.key;
    const withKey = device.csr?.ok
      ? devices.store.by('identityKey', device.csr.spki)
      : device.existing?.ok
        ? devices.store.by('identityExisting', device.existing.facts.spki)
        : [];
    return {
      now: clock.now(),
      device,
      lifecycle,
      ledger: { synced: ledger.synced, problem: ledger.problem },
      ofDevice: ledger.byDevice(`${device.name}.${device.namespace}`),
      ofKey: (spki) => ledger.bySpki(spki),
      pendingOfKey: (spki) => ledger.pending().find((entry) => entry.spki === spki),
      firstWithSerial: firstOf(device, withSerial, hasCertificate),
      firstWithKey: firstOf(device, withKey, hasCertificate),
      claimantOfKey,
      keyInFlight: (spki, than) =>
        keyInFlight(requests.withKey(spki), { est: deps.estUser, uid: device.uid, request: device.factory?.request }, than),
      issuer,
      openApprovers: openFor(issuer.key),
      requests: requestsOf(device, managed),
      managed,
      trust,
      self: self ?? '',
      certManager,
      est: deps.estUser,
      ...seen,
    };
  }

  function requestsOf(device: DeviceFacts, managed: ManagedFacts | undefined): RequestFacts[] {
    const madeFor = device.factory?.request;
    return [device.uid, managed?.uid, madeFor].flatMap((uid) => (uid === undefined || uid === '' ? [] : requests.ownedBy(uid)));
  }

  async function ensure(device: DeviceFacts, lifecycle: Lifecycle, context: EnsureContext): Promise<IdentityResult> {
    if (!ready()) return notReady(device, blocked);
    let turn = false;
    const mayGoOn = (step: Decision['do']): boolean => {
      if (!turn && (step === 'create' || step === 'approve')) turn = turns.take(device.key);
      return turn || (step !== 'create' && step !== 'approve');
    };
    try {
      return await walk(device, lifecycle, context, mayGoOn);
    } finally {
      if (turn) turns.giveBack();
    }
  }

  const announce = async (signer: Signer): Promise<void> => await deps.authorities?.announce(signer);

  async function walk(
    device: DeviceFacts,
    lifecycle: Lifecycle,
    context: EnsureContext,
    mayGoOn: (step: Decision['do']) => boolean,
  ): Promise<IdentityResult> {
    const { connectedWith } = context;
    let seen: Pick<Input, 'looked' | 'nameTaker'> = { looked: false, nameTaker: undefined };
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const input = { ...observe(device, lifecycle, { ...seen, rotation: context.rotation }), connectedWith };
      const decision = decide(input);
      if (decision.do === 'answer') return finish(input, decision.answer);
      if (!mayGoOn(decision.do)) return { ...finish(input, inLine(input, LINE_MS)), queued: true };
      log.debug({ device: device.key, step: decision.do }, 'identity step');
      const taken = await takeStep(
        decision,
        {
          device,
          issuer: input.issuer,
          managed: input.managed,
          by: context.by ?? 'hedgerow',
          ...{ rotation: context.rotation, signal: context.signal },
        },
        {
          client,
          clock,
          ledger,
          requests,
          noteCertificate: (certificate) => certificatesAhead.set(certificate.key, certificate),
          announce,
        },
      );
      if (taken === 'behind') return notReady(device, blocked);
      seen = { looked: decision.do === 'look', nameTaker: typeof taken === 'object' ? taken.nameTaker : undefined };
    }
    throw new Error(`the certificate of ${device.key} did not come to an answer in ${MOST_STEPS} steps`);
  }

  function finish(input: Input, answer: Answer): IdentityResult {
    const { device, rotation } = input;
    const issuer = input.issuer.key;
    if (answer.outcome.kind === 'waiting' || answer.outcome.kind === 'stalled') blocked.set(device.key, issuer);
    else blocked.delete(device.key);
    const { entry, certificate, cleanup } = answer;
    return {
      outcome: answer.outcome,
      certified: answer.certified,
      ...(entry === undefined ? {} : { identity: statusIdentity(entry, device, rotation) }),
      renewal: renewalOf(input, answer),
      ...(certificate === undefined ? {} : { certificate }),
      ...(cleanup.length === 0
        ? {}
        : {
            cleanup: async () =>
              void (await Promise.all(cleanup.map((request) => deleteRequest(request, undefined, { client, requests })))),
          }),
    };
  }

  const retirement = createRetirement({ client, ledger, devices: devices.store, clock, log });
  retirement.onRetired((dead) => {
    for (const { spki } of dead) wakeAll([...devices.store.by('identityKey', spki), ...devices.store.by('identityExisting', spki)]);
  });
  devices.subscribe(({ before, after }) => {
    if (before === undefined) return;
    if (after === undefined) {
      blocked.delete(before.key);
      certificatesAhead.delete(before.key);
      retirement.soon();
    }
    // Whoever stood behind this Device may move up.
    if (before.serial !== undefined && before.serial !== after?.serial)
      wakeAll(devices.store.by('identitySerial', `${before.namespace}/${before.serial}`));
    const key = before.csr?.ok ? before.csr.spki : undefined;
    if (key !== undefined && !(after?.csr?.ok && after.csr.spki === key)) wakeAll(devices.store.by('identityKey', key));
    const existing = before.existing?.ok ? before.existing.facts.spki : undefined;
    if (existing !== undefined && !(after?.existing?.ok && after.existing.facts.spki === existing))
      wakeAll(devices.store.by('identityExisting', existing));
  });
  const wakeAll = (list: DeviceFacts[]): void => {
    for (const device of list) wake(device.key);
  };

  let healthy = false;
  ledger.onChange(() => {
    const now = ledger.synced && ledger.problem === undefined;
    if (now !== healthy) wakeBlocked();
    healthy = now;
  });

  const synced = async (signal: AbortSignal): Promise<void> =>
    void (await Promise.all(reflectors.map((reflector) => reflector.whenSynced(signal))).catch(() => undefined));

  async function run(signal: AbortSignal): Promise<void> {
    const watching = [...reflectors.map((reflector) => reflector.run(signal)), ledger.run(signal)];
    await Promise.all([...watching, learnSelf(signal), retirement.run(synced, signal)]);
  }

  async function learnSelf(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && self === undefined) {
      try {
        self = await whoAmI(client, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'cannot ask the API server who this process is');
        await clock.sleep(2_000, signal).catch(() => undefined);
      }
    }
    await synced(signal);
    if (!signal.aborted) wakeBlocked();
  }

  return {
    ledger,
    requests,
    onRequest: (listener) => void requestListeners.push(listener),
    ensure,
    retireOrphans: retirement.now,
    run,
    openApprovers: (issuer) => (ready() ? openFor(issuer) : undefined),
    onApprovers: (listener) => void approverListeners.push(listener),
    onDeviceWake: (waker) => void wakers.push(waker),
    onRetired: (listener) => retirement.onRetired((dead) => listener(dead.flatMap((entry) => (isPending(entry) ? [] : [entry])))),
  };
}

/** A short pause in which the watches catch up. What the status says of the certificate stays as it is. */
function notReady(device: DeviceFacts, blocked: Map<Key, string>): IdentityResult {
  blocked.set(device.key, '');
  const message = 'the operator has not read everything it needs from the API server yet';
  return {
    outcome: { kind: 'waiting', afterMs: 500, reason: 'CachesNotSynced', message },
    certified: { status: 'Unknown', reason: 'CachesNotSynced', message },
    ...(device.certificate === undefined ? {} : { certificate: device.certificate }),
  };
}

function statusIdentity(entry: LedgerEntry, device: DeviceFacts, rotation: Rotation | undefined): NonNullable<DeviceStatus['identity']> {
  return {
    serialNumber: entry.serial,
    fingerprint: entry.sha256,
    notBefore: entry.notBefore,
    notAfter: entry.notAfter,
    renewAt: new Date(opensAt(entry, device, rotation)).toISOString(),
    issuer: entry.issuer,
    ...(entry.replaces === undefined || entry.replaces === entry.spki ? {} : { replacedKey: entry.replaces }),
    ...(entry.revoked === undefined ? {} : { revokedAt: entry.revoked.at, revocationSteps: [{ step: 'Ledger', at: entry.revoked.at }] }),
  };
}
