// A device that shows the certificate of its factory: which Device it is, or, where a SegmentPolicy lets devices in without a manifest, which it would become.
import type { X509Certificate } from 'node:crypto';
import {
  commonNameOfCsr,
  type EnrollmentPolicy,
  type Enrolment,
  type EstDevice,
  type EstProof,
  type Evidence,
  explainIdentity,
  type FactoryIdentity,
  factoryCertificates,
  organizationalUnitOfCsr,
} from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import { judgeFactoryCertificate } from './authenticate.ts';
import { type Refusal, refuse } from './errors.ts';
import type { Secrets } from './store.ts';

export type Shown = { certificate: X509Certificate; sent: readonly X509Certificate[] };
/** `evidence`: there is no Device yet, and the request is to make one. */
export type ProvedByFactory = { device: EstDevice; proof: EstProof; evidence?: Evidence };
type Candidate = { policy: EnrollmentPolicy; path: X509Certificate[] };

const { evidenceOf, factoryFacts, factoryIdentity, factoryKeyOf, fingerprintOf, isValidAt, matchesAnyPattern, pathTo } =
  factoryCertificates;
const LISTS_FRESH_MS = 10_000;
const SEGMENTS_TOLD = 5;

export function createManufacturer(deps: { enrolment: Enrolment; secrets: Pick<Secrets, 'manufacturer'>; clock: Clock }) {
  const { enrolment, secrets, clock } = deps;

  /** Who the device is, by its factory certificate and what its request (PEM) asks for; `undefined` = it has not made one yet. */
  async function prove(shown: Shown, pem: string | undefined, signal: AbortSignal): Promise<ProvedByFactory | Refusal> {
    const named = namedDevice(pem);
    if (named?.bootstrap === 'Manufacturer') return await asDevice(named, shown, signal);
    const policies = enrolment.justInTime();
    // A Device that enrols in another way, or nothing of the kind here: told alike.
    if (named !== undefined || policies.length === 0 || !isValidAt(shown.certificate, clock.now())) return refuse('HR-EST-005');
    const found = await findPolicy(shown, pem, signal);
    if ('code' in found) return found;
    const identity = factoryIdentity(found.path);
    if (identity === undefined) return refuse('HR-EST-022');
    const device = enrolment.deviceOf(identity, found.policy.namespace);
    return device === undefined ? asNewcomer(identity, found) : await asDevice(device, shown, signal);
  }

  function namedDevice(pem: string | undefined): EstDevice | undefined {
    const [name = '', namespace = '', ...rest] = (commonNameOfCsr(pem ?? '') ?? '').split('.');
    return rest.length > 0 ? undefined : enrolment.device({ name, namespace });
  }

  async function asDevice(device: EstDevice, { certificate, sent }: Shown, signal: AbortSignal): Promise<ProvedByFactory | Refusal> {
    const now = clock.now();
    const policy = enrolment.policy(`${device.namespace}/${device.segment}`);
    const anchors = policy === undefined ? undefined : await secrets.manufacturer(policy, signal);
    if (anchors === undefined) return refuse('HR-EST-020');
    const path = isValidAt(certificate, now) ? pathTo(certificate, sent, anchors, now) : undefined;
    const anchor = path?.at(-1);
    const proof = { ca: anchor === undefined ? '' : fingerprintOf(anchor), key: factoryKeyOf(certificate) };
    const factory = factoryFacts(certificate);
    const refusal = judgeFactoryCertificate({ device, leadsToManufacturer: path !== undefined, factory, proof });
    return refusal ?? { device, proof: { how: 'Manufacturer', ...proof } };
  }

  function asNewcomer(identity: FactoryIdentity, { policy, path }: Candidate): ProvedByFactory | Refusal {
    const device = enrolment.unregistered(identity, policy);
    if (device === undefined) return { code: 'HR-EST-042', message: explainIdentity('HR-ID-012') };
    const evidence = evidenceOf(policy.name, device.name, path);
    if (evidence === undefined)
      return refuse('HR-EST-021', 'the certificates between the factory certificate and the CA of the manufacturer are too large');
    return { device, proof: { how: 'Manufacturer', ca: identity.ca, key: identity.factoryKey }, evidence };
  }

  /** The policy that the request names as its segment; else the only one whose CA and whose lists take the device. */
  async function findPolicy(shown: Shown, pem: string | undefined, signal: AbortSignal): Promise<Candidate | Refusal> {
    const [segment = '', namespace = '', ...rest] = (organizationalUnitOfCsr(pem ?? '') ?? '').split('.');
    const asked = rest.length > 0 ? undefined : enrolment.policy(`${namespace}/${segment}`);
    if (asked?.justInTime !== undefined) {
      const path = await pathUnder(asked, shown, signal);
      return path === undefined ? refuse('HR-EST-021') : { policy: asked, path };
    }
    const led: Candidate[] = [];
    for (const policy of enrolment.justInTime()) {
      const path = await pathUnder(policy, shown, signal);
      if (path !== undefined) led.push({ policy, path });
    }
    const [first, ...more] = led;
    if (first === undefined) return refuse('HR-EST-021');
    return more.length === 0 ? first : await theOneThatLists(led, signal);
  }

  async function pathUnder(
    policy: EnrollmentPolicy,
    { certificate, sent }: Shown,
    signal: AbortSignal,
  ): Promise<X509Certificate[] | undefined> {
    const anchors = await secrets.manufacturer(policy, signal);
    const path = anchors === undefined ? undefined : pathTo(certificate, sent, anchors, clock.now());
    const anchor = path?.at(-1);
    return anchor !== undefined && policy.pinned.includes(fingerprintOf(anchor)) ? path : undefined;
  }

  async function theOneThatLists(led: readonly Candidate[], signal: AbortSignal): Promise<Candidate | Refusal> {
    const takers: Candidate[] = [];
    for (const candidate of led) {
      const serial = factoryIdentity(candidate.path)?.serial;
      if (serial === undefined) return refuse('HR-EST-022');
      const lists = await enrolment.serialLists.read(candidate.policy, LISTS_FRESH_MS, signal);
      const isListed = 'lists' in lists && lists.lists.some((list) => list.has(serial));
      if (isListed || matchesAnyPattern(candidate.policy, serial)) takers.push(candidate);
    }
    const [taker, ...more] = takers;
    if (taker === undefined) return refuse('HR-EST-025');
    if (more.length === 0) return taker;
    const names = takers.slice(0, SEGMENTS_TOLD).map(({ policy }) => `${policy.name}.${policy.namespace}`);
    return refuse('HR-EST-026', `more than one SegmentPolicy would take the device: ${names.join(', ')}`);
  }

  return { prove };
}
