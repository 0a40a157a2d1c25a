// Why firmware is not trusted, what a device says and is not counted, and directives that are not sent. Codes are stable: docs/reference/errors.md is generated from this table.
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
    cause: 'the envelope is larger than 64 KiB or has more than 32 signatures, or its statement is larger than 40 KiB',
    cure: 'an envelope holds the statement, not the firmware; release in parts what is for very many kinds of hardware',
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
  'HR-FW-028': {
    title: 'SpreadTooWide',
    cause: 'a wave takes so many devices of one site for spread, besides its size, that its rule cannot name them',
    cure: 'raise size or min of the wave, or take keys out of its spread that have many values',
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
  'HR-FW-101': {
    title: 'MessageTooLarge',
    cause: 'a device sent more bytes on a firmware topic than the protocol allows: 4096 for a state, 8192 for hello and log',
    cure: 'correct the firmware of the device; the message was dropped unread',
  },
  'HR-FW-102': {
    title: 'MessageMalformed',
    cause:
      'a state or hello of a device is not in the form of the protocol: a field is missing, wrong or unknown, or does not go with the state',
    cure: 'compare what the device sends with docs/reference/firmware-protocol.md and its test vectors; the message was dropped',
  },
  'HR-FW-103': {
    title: 'OtherDevice',
    cause: 'a message names another device than the topic that it came on',
    cure: 'the device has the configuration of another one, or tries to speak for it; the topic counts, the message was dropped',
  },
  'HR-FW-104': {
    title: 'OtherDirective',
    cause: 'a state is about another component, sequence or nonce than those of the directive that is open',
    cure: 'nothing, when a rollout has just given the device a newer directive; otherwise publish the directive again, the device then answers it',
  },
  'HR-FW-105': {
    title: 'ReportReplayed',
    cause:
      'boot counter and number of a message are not above those of the last one: it is an old message, or the device has lost its counters',
    cure: 'a device whose memory was really erased is enrolled again; else find out who repeats its messages',
  },
  'HR-FW-106': {
    title: 'AlreadyEnded',
    cause: 'a device reports another state for a directive that has ended; only a rollback can follow a success',
    cure: 'a further try needs a directive with a higher sequence; the end that was counted stays',
  },
  'HR-FW-107': {
    title: 'OtherImageRuns',
    cause: 'a device says Confirmed and runs another image than the directive was about',
    cure: 'the device counts "written" as success; correct its firmware. It is not counted as confirmed',
  },
  'HR-FW-108': {
    title: 'NotRebooted',
    cause: 'a device says Confirmed and its boot counter is not above the one that it had before: it cannot run what it has not booted',
    cure: 'correct the firmware of the device; it is not counted as confirmed',
  },
  'HR-FW-109': {
    title: 'SecurityCounterTooLow',
    cause: 'a device says Confirmed and its security counter is below the one of the release: it could still be given an older image',
    cure: 'raise the counter when an image is confirmed, before Confirmed is reported',
  },
  'HR-FW-110': {
    title: 'BootReportMissing',
    cause: 'a boot key is registered for the device and its Confirmed comes without a boot report',
    cure: 'send the boot report of the bootloader with Confirmed; without it only the image itself vouches for itself',
  },
  'HR-FW-111': {
    title: 'BootReportUnsigned',
    cause: 'the boot report of a device is no envelope, or the boot key that is registered for the device has not signed it',
    cure: 'if the bootloader has a new key, register that; otherwise something on the device forges boot reports: quarantine it',
  },
  'HR-FW-112': {
    title: 'BootReportContradicts',
    cause:
      'the boot report is genuine and says something else than the message it came with: another device, component, boot, image, counter or directive',
    cure: 'the running image lies or repeats an old boot report: quarantine the device and look at what it runs',
  },
  'HR-FW-113': {
    title: 'StateImpossible',
    cause: 'a device reports a state that a directive with this action cannot lead to, or goes back to an earlier one',
    cure: 'compare the device with the table of states in docs/reference/firmware-protocol.md; the message was dropped',
  },
  'HR-FW-120': {
    title: 'DirectiveInvalid',
    cause: 'a directive is outside the bounds of the protocol, and every device would refuse it',
    cure: 'correct what the message names; nothing was signed',
  },
  'HR-FW-121': {
    title: 'DirectiveKeyUnusable',
    cause: 'the key for directives is unreadable, of another kind than P-256 or Ed25519, or does not belong to its certificate',
    cure: 'give a key in PEM without a pass phrase and the certificate that was issued for it, leaf first',
  },
  'HR-FW-122': {
    title: 'DirectiveCertificateUnfit',
    cause:
      'the certificate for directives is not for this site, not for code signing, a CA, or not valid now: devices would refuse what it signs',
    cure: 'issue one with usages "digital signature" and "code signing" and the single URI urn:hedgerow:firmware:directive:<namespace>',
  },
} as const;

export type FirmwareCode = keyof typeof ERRORS;

/** `found`: in words, more exact than the table's cause. Never anything of a private key, never a text that a device wrote. */
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
