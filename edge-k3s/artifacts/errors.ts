// Why the artifacts server gives a device nothing, or an origin is not believed. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-FW-401': {
    title: 'NotServed',
    cause:
      'the path is none of /fw/sha256/<hex>, /fw/releases/<hex> and /fw/roots/<hex>/<N>.root.json, or the method is neither GET nor HEAD',
    cure: 'use one of these paths, as the directive of the device names it',
  },
  'HR-FW-402': {
    title: 'NotNamed',
    cause: 'no catalog names a file of this digest: only what a verified release has is served',
    cure: 'see whether the FirmwareRelease is verified (its condition Ready), and in a site without API server whether its catalog lies in --catalog-dir',
  },
  'HR-FW-403': {
    title: 'NotADevice',
    cause: 'the subject of the client certificate is not O=hedgerow, OU=<segment>.<namespace>, CN=<device>.<namespace>',
    cure: 'enrol the device, and use the certificate that it gets',
  },
  'HR-FW-404': {
    title: 'CertificateRevoked',
    cause: 'the client certificate, or the CA that issued it, is on a revocation list of --crl-file',
    cure: 'a revoked device comes back with a new key: kubectl hedgerow why DEVICE',
  },
  'HR-FW-405': {
    title: 'TooMuchAtOnce',
    cause: 'this device has as many transfers open as one may have, or all places of the server are taken',
    cure: 'ask again after the seconds of Retry-After',
  },
  'HR-FW-406': {
    title: 'NotHereYet',
    cause: 'the file is being fetched from its registry, or could not be fetched so far',
    cure: 'ask again after the seconds of Retry-After; if it lasts, the log of the server says why (HR-FW-41x)',
  },
  'HR-FW-407': {
    title: 'NoSuchRange',
    cause: 'the Range begins behind the end of the file',
    cure: 'Content-Range of the answer has its size',
  },
  'HR-FW-410': {
    title: 'RegistryUnreachable',
    cause: 'the registry does not answer, too slowly, or the connection broke',
    cure: 'see whether the site reaches the registry, and whether its certificate is of a public CA or of --registry-ca-file; what has come is kept, and fetched on from there',
  },
  'HR-FW-411': {
    title: 'RegistryRefused',
    cause: 'the registry wants other credentials (401 or 403)',
    cure: 'put credentials that may pull the repository into the file of --registry-auth-file (a docker config.json)',
  },
  'HR-FW-412': {
    title: 'RegistryHasNot',
    cause: 'the registry has neither such a manifest nor such a blob (404 or another 4xx)',
    cure: 'push the artifact again: the digest of the FirmwareRelease decides, not its tag',
  },
  'HR-FW-413': {
    title: 'WrongBytes',
    cause: 'what the registry gave does not have the SHA-256 that was asked for; it is thrown away',
    cure: 'find out who changes bytes on the way or in the registry; push the artifact again',
  },
  'HR-FW-414': {
    title: 'WrongSize',
    cause: 'the registry gives more or fewer bytes than the signed size, or changed the file between two ranges',
    cure: 'compare the size in the FirmwareRelease with that of the layer in the registry',
  },
  'HR-FW-415': {
    title: 'RedirectRefused',
    cause: 'the registry redirects to something that is not https, without a target, or more than five times',
    cure: 'let the registry redirect to https only',
  },
  'HR-FW-416': {
    title: 'ManifestUnfit',
    cause: 'the OCI manifest is not the one of its digest, is an index, or has no layer with the digest and the size of the artifact',
    cure: 'let spec.artifacts[].oci name the image manifest whose layer is the artifact, or the blob itself',
  },
  'HR-FW-417': {
    title: 'Encoded',
    cause: 'the registry or something on the way compresses what was asked for as it is (Content-Encoding)',
    cure: 'turn off compression of blobs there',
  },
  'HR-FW-418': {
    title: 'RegistryBusy',
    cause: 'the registry answers 429 or 5xx',
    cure: 'wait: it is asked again, later each time',
  },
  'HR-FW-419': {
    title: 'CredentialsUnreadable',
    cause:
      'the file of --registry-auth-file is no docker config.json, or its entry for the registry has neither auth nor username and password',
    cure: 'write it with docker login, oras login or crane auth login, without a credential helper',
  },
  'HR-FW-420': {
    title: 'NoRoom',
    cause: 'the artifact is larger than --cache-bytes, or all of the cache is in use',
    cure: 'give the cache more bytes: artifacts.cache.size of the chart',
  },
  'HR-FW-421': {
    title: 'DiskFailed',
    cause: 'the directory of the cache could not be read or written',
    cure: 'look at the disk: the log has the error of the system',
  },
  'HR-FW-430': {
    title: 'CatalogUnreadable',
    cause: 'a catalog lacks release.json, or has other things in it than a verified release',
    cure: 'the operator writes catalogs; one that was changed by hand is deleted, and made again',
  },
  'HR-FW-431': {
    title: 'TlsFilesUnreadable',
    cause: 'certificate, key, CA bundle or revocation list of this server does not read',
    cure: 'put PEM files there; the last good ones stay in force until then',
  },
  'HR-FW-432': {
    title: 'RevocationListOld',
    cause: 'a list of --crl-file is past its nextUpdate: who was revoked since is not on it',
    cure: 'see why no newer list reaches the file; whom it names stays out meanwhile',
  },
  'HR-FW-433': {
    title: 'RevocationListForeign',
    cause: 'a list of --crl-file is not signed by a CA of --device-ca-file, so it revokes nobody whom these CAs have issued',
    cure: 'give the list of the CA that issues the devices',
  },
} as const;

export type ArtifactsCode = keyof typeof ERRORS;

/** `found` in words, more exact than the table's cause; never anything secret. */
export type Problem = { code: ArtifactsCode; found?: string };

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly problem: Problem;
  constructor(code: ArtifactsCode, found?: string) {
    const problem = found === undefined ? { code } : { code, found };
    super(explain(problem));
    this.problem = problem;
  }
}

export function explain({ code, found }: Problem): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${found ?? cause}. ${cure}.`;
}
