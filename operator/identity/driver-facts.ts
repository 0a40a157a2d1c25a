// What the operator needs to know of a driver's request for a certificate, and of the wave that it drives.
import type { FirmwareWaveSpec, FirmwareWaveStatus } from '../api/firmware-wave.ts';
import { ANNOTATION_WAVE, LABEL_DRIVER_CERTIFICATE, LABEL_WAVE_UID } from '../api/names.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import { commonNameOfCsr } from './csr.ts';
import { type CertificateRequest, type RequestState, requestFacts } from './request-facts.ts';
import { readCertificate } from './x509.ts';

export type DriverFacts = Projected & {
  name: string;
  namespace: string;
  createdAtMs: number;
  username: string | undefined;
  /** The label: `mqtt` or `directive`, or what somebody else wrote there. */
  kind: string;
  /** As it says of itself: the wave, `<namespace>/<name>`, and its uid. */
  wave: string;
  waveUid: string;
  /** Of the request for an MQTT certificate. */
  clientId: string | undefined;
  /** PEM. */
  pem: string;
  /** `<kind>/<namespace>/<name>`, and the API group where it is not cert-manager's own. */
  issuer: string;
  group: string;
  durationMs: number | undefined;
  isCa: boolean;
  usages: string;
  state: RequestState;
  /** Of an issued one. */
  issued: { md5: string; notAfterMs: number } | undefined;
};

export type WaveOfDriver = Projected & { shards: number; ended: boolean };

export type FirmwareWave = KubeObject & { spec: FirmwareWaveSpec; status?: FirmwareWaveStatus };

export function driverFacts(object: CertificateRequest): DriverFacts {
  const facts = requestFacts(object);
  const { metadata, spec } = object;
  const read = facts.certificate === undefined ? undefined : readCertificate(facts.certificate);
  return {
    ...{ key: facts.key, uid: facts.uid, resourceVersion: facts.resourceVersion, name: facts.name, namespace: facts.namespace },
    createdAtMs: Date.parse(facts.createdAt),
    username: facts.username,
    kind: metadata.labels?.[LABEL_DRIVER_CERTIFICATE] ?? '',
    wave: metadata.annotations?.[ANNOTATION_WAVE] ?? '',
    waveUid: metadata.labels?.[LABEL_WAVE_UID] ?? '',
    clientId: commonNameOfCsr(facts.pem),
    pem: facts.pem,
    issuer: facts.issuer,
    group: spec.issuerRef.group ?? 'cert-manager.io',
    durationMs: facts.durationMs,
    isCa: facts.isCa,
    usages: facts.usages,
    state: facts.state,
    issued: read === undefined ? undefined : { md5: read.md5, notAfterMs: Date.parse(read.notAfter) },
  };
}

export function waveOfDriver(wave: FirmwareWave): WaveOfDriver {
  const { metadata, spec, status } = wave;
  const { uid = '', resourceVersion = '' } = metadata;
  // A decision that the status does not know yet opens a wave again: a release goes back after it was completed.
  const isOld = (status?.observedGeneration ?? metadata.generation) !== metadata.generation;
  const ended = !isOld && (status?.phase === 'Completed' || status?.phase === 'Aborted');
  return { key: keyOf(wave), uid, resourceVersion, shards: spec.shards, ended: ended || metadata.deletionTimestamp !== undefined };
}
