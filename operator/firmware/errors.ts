// Why firmware is not trusted. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-FW-001': {
    title: 'RootMissing',
    cause: 'there is no 1.root.json: without the first root nothing can be checked',
    cure: 'put all roots back, 1.root.json to the newest; none is ever deleted',
  },
  'HR-FW-002': {
    title: 'RootNotPinned',
    cause: '1.root.json is another file than the one whose digest is pinned',
    cure: 'put the first root back byte for byte; where it was made anew on purpose, every place that pins it (operator, devices) needs the new digest',
  },
  'HR-FW-003': {
    title: 'RootSkipped',
    cause: 'a root between the first and the newest is missing: each is trusted by the one before it',
    cure: 'put the missing root back',
  },
  'HR-FW-004': {
    title: 'RootRolledBack',
    cause: 'a newer root than any of these was accepted before: it was deleted, or these are old copies',
    cure: 'put the newer roots back; keys that were taken out of them do not come back by an old file',
  },
  'HR-FW-005': {
    title: 'RootReplaced',
    cause: 'a root has the version of one that was accepted before, and other bytes',
    cure: 'put the accepted file back byte for byte, and make a next version for what is to change; find out who signed two roots of one version',
  },
  'HR-FW-006': {
    title: 'RootMalformed',
    cause: 'a root is no TUF root metadata of specification 1.0',
    cure: 'see the message; make roots with "kubectl hedgerow firmware root" or with python-tuf',
  },
  'HR-FW-007': {
    title: 'RootTooLarge',
    cause: 'a root is larger, or there are more of them, than anybody needs: 64 KiB each, 256 roots',
    cure: 'see the message',
  },
  'HR-FW-008': {
    title: 'RootVersionWrong',
    cause: 'the version inside a root is not the number in its name',
    cure: 'name the file after its version: 2.root.json holds version 2',
  },
  'HR-FW-009': {
    title: 'RootKeyRefused',
    cause:
      'a key of a root cannot be used: its kind is neither ed25519 nor ecdsa-sha2-nistp256, its id is not the hash of it, or it is there twice',
    cure: 'see the message, and take the key out of the next version',
  },
  'HR-FW-010': {
    title: 'RootNotSignedByItself',
    cause: 'fewer of the root keys that a root names have signed it than its threshold',
    cure: 'let more of its own keys sign it before it is published',
  },
  'HR-FW-011': {
    title: 'RootNotSignedByPrevious',
    cause: 'fewer of the root keys of the version before have signed a root than the threshold there',
    cure: 'let keys of the version before sign it too; where too many of them are lost, only a new first root helps, and every device must learn its digest',
  },
  'HR-FW-012': {
    title: 'RootExpired',
    cause: 'the newest root has expired: whoever holds newer ones back could be hiding that a key was taken out',
    cure: 'publish the next root with a later expiry; where it is published already, see why it does not come through',
  },
  'HR-FW-020': {
    title: 'EnvelopeTooLarge',
    cause: 'the envelope is larger than 256 KiB or has more than 32 signatures',
    cure: 'an envelope holds the statement, not the firmware: sign it anew',
  },
  'HR-FW-021': {
    title: 'EnvelopeMalformed',
    cause: 'what should be a DSSE envelope or a Sigstore bundle with one is neither',
    cure: 'see the message; "kubectl hedgerow firmware sign" makes envelopes',
  },
  'HR-FW-022': {
    title: 'SignatureOfBytes',
    cause: 'a Sigstore bundle with a signature of the bytes of a file (cosign sign-blob) says nothing of version, hardware or counter',
    cure: 'sign the statement: "cosign attest-blob", or "kubectl hedgerow firmware sign"',
  },
  'HR-FW-023': {
    title: 'PayloadTypeWrong',
    cause: 'the envelope holds something else than an in-toto statement',
    cure: 'the payloadType is application/vnd.in-toto+json; sign it anew',
  },
  'HR-FW-024': {
    title: 'TooFewSignatures',
    cause: 'fewer of the release keys (role targets of the root) have signed than the threshold',
    cure: 'let more of them sign: kubectl hedgerow firmware sign ENVELOPE --key FILE',
  },
  'HR-FW-025': {
    title: 'StatementTypeWrong',
    cause: 'the statement is signed, and it is not about a firmware release in the form that is known',
    cure: 'its _type is https://in-toto.io/Statement/v1 and its predicateType https://hedgerow.dev/firmware-release/v1; sign it anew',
  },
  'HR-FW-026': {
    title: 'StatementMalformed',
    cause: 'the statement does not say what a firmware release has to say',
    cure: 'see the message and docs/reference/firmware-statement.md, and sign it anew',
  },
  'HR-FW-027': {
    title: 'ArtifactNotSigned',
    cause: 'a file is none of the artifacts that were signed: its digest or its size is another',
    cure: 'fetch the file again; where it is what was to be released, sign a statement that names it',
  },
  'HR-FW-030': {
    title: 'KeyUnreadable',
    cause: 'a file is no private or public key in PEM without a pass phrase',
    cure: 'make one with "kubectl hedgerow firmware keygen"; private keys are PKCS#8 or SEC 1, public keys SPKI',
  },
  'HR-FW-031': {
    title: 'KeyUnsupported',
    cause: 'a key is neither Ed25519 nor ECDSA on P-256',
    cure: 'make one with "kubectl hedgerow firmware keygen"',
  },
} as const;

export type FirmwareCode = keyof typeof ERRORS;

/** `found`: in words, more exact than the table's cause. Never anything of a private key. */
export type Problem = { code: FirmwareCode; found?: string };

/** `HR-FW-003 RootSkipped: where: what was found. Cure: …` */
export function explain({ code, found }: Problem, where?: string): string {
  const { title, cause, cure } = ERRORS[code];
  return `${code} ${title}: ${where === undefined ? '' : `${where}: `}${found ?? cause}. Cure: ${cure}`;
}

/** Thrown inside the parsers only; what leaves this room is a value. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly problem: Problem;
  constructor(code: FirmwareCode, found?: string) {
    const problem = found === undefined ? { code } : { code, found };
    super(explain(problem));
    this.problem = problem;
  }
}

export type Result<T> = { ok: true; value: T } | { ok: false; problem: Problem };

/** The value, or why not. What is not ours goes on. */
export function resultOf<T>(read: () => T): Result<T> {
  try {
    return { ok: true, value: read() };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, problem: error.problem };
    throw error;
  }
}
