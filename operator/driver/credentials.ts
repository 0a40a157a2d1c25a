// The keys of a driver: made here, in memory only, and made anew long before their certificates end.
import { X509Certificate } from 'node:crypto';
import { type DirectiveSigner, explainFirmware, readDirectiveSigner } from '../firmware/firmware.ts';
import { type DriverCertificate, type DriverWish, obtainDirectiveKey, obtainDriverCertificate } from '../identity/identity.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { RolloutOptions } from './options.ts';

export type CredentialsDeps = {
  client: Pick<KubeClient, 'get' | 'create' | 'delete'>;
  clock: Clock;
  /** The operator's. */
  namespace: string;
  wave: DriverWish['wave'];
  options: Pick<RolloutOptions, 'shard' | 'mqttIssuer' | 'directiveIssuer'>;
};

/** `ca`: of the directive keys, where the issuer told it: by it the directives of the driver before this one are known. */
export type Signing = { signer: DirectiveSigner; ca: X509Certificate | undefined };

export type Credentials = {
  /** Both reject with a sentence for a person. */
  certificate(signal: AbortSignal): Promise<DriverCertificate>;
  signing(signal: AbortSignal): Promise<Signing>;
  /** When one of them has to be made anew, ms since 1970. */
  renewAt(): number;
  /** The broker is to take the certificate no more. Never rejects. */
  remove(signal: AbortSignal): Promise<void>;
};

/** Of the time that a certificate has left when it is got. */
const RENEW_AT = 2 / 3;

export function createCredentials({ client, clock, namespace, wave, options }: CredentialsDeps): Credentials {
  let mqtt: { certificate: DriverCertificate; renewAt: number } | undefined;
  let directive: { signing: Signing; renewAt: number } | undefined;
  const wish = { namespace, wave, shard: options.shard };
  const renewal = (notAfterMs: number): number => clock.now() + (notAfterMs - clock.now()) * RENEW_AT;

  return {
    async certificate(signal) {
      if (mqtt === undefined || clock.now() >= mqtt.renewAt) {
        const certificate = await obtainDriverCertificate({ ...wish, issuer: options.mqttIssuer }, { client, clock }, signal);
        mqtt = { certificate, renewAt: renewal(certificate.notAfterMs) };
      }
      return mqtt.certificate;
    },
    async signing(signal) {
      if (directive === undefined || clock.now() >= directive.renewAt) {
        const got = await obtainDirectiveKey({ ...wish, issuer: options.directiveIssuer }, { client, clock }, signal);
        const keyPem = got.key.export({ type: 'pkcs8', format: 'pem' }).toString();
        const read = readDirectiveSigner({ keyPem, chainPem: got.certificate }, { site: wave.namespace, now: clock.now() });
        if (!read.ok) throw new Error(explainFirmware(read.problem));
        const ca = got.ca === undefined ? undefined : new X509Certificate(got.ca);
        directive = { signing: { signer: read.signer, ca }, renewAt: renewal(got.notAfterMs) };
      }
      return directive.signing;
    },
    renewAt: () => Math.min(mqtt?.renewAt ?? Number.POSITIVE_INFINITY, directive?.renewAt ?? Number.POSITIVE_INFINITY),
    async remove(signal) {
      await mqtt?.certificate.remove(signal);
    },
  };
}
