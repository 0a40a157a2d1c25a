// What can stand between a person at a shell and what they asked for. Other rooms' codes pass through unchanged.
export const ERRORS = {
  'HR-CLI-001': {
    title: 'ClusterUnreachable',
    cause: 'the API server of the kubeconfig gives no answer',
    cure: 'see whether "kubectl get --raw /readyz" answers with the same --kubeconfig and --context',
  },
  'HR-CLI-002': {
    title: 'KubeconfigMissing',
    cause: 'there is neither --kubeconfig, nor KUBECONFIG with one file, nor ~/.kube/config',
    cure: 'pass --kubeconfig FILE; where KUBECONFIG names several files, name one',
  },
  'HR-CLI-003': {
    title: 'ClusterRefused',
    cause: 'the API server answered with an error',
    cure: 'see the message; your own rights are used, "kubectl auth can-i --list" shows them',
  },
  'HR-CLI-004': {
    title: 'FileUnreadable',
    cause: 'a file that a flag names cannot be read',
    cure: 'correct the path, or the rights of the file',
  },
  'HR-CLI-005': {
    title: 'NoSuchDevice',
    cause: 'there is no Device of this name in the namespace',
    cure: 'see "kubectl hedgerow devices -A" for the name and pass its namespace by -n',
  },
  'HR-CLI-010': {
    title: 'NamespaceEnds',
    cause: 'the namespace of the device is being deleted, and every Device in it is retired',
    cure: 'nothing brings it back; make the Device again in a namespace that stays, with a new key',
  },
  'HR-CLI-011': {
    title: 'DeviceEnds',
    cause: 'the Device is being deleted: its certificates are revoked and it is retired',
    cure: 'make the Device again, with a new key',
  },
  'HR-CLI-012': {
    title: 'NotLookedAt',
    cause: 'no operator has looked at the Device, or not since it was changed last',
    cure: 'see whether an operator runs and leads: kubectl get pods,leases in its namespace',
  },
  'HR-CLI-013': {
    title: 'DeviceRevoked',
    cause: 'the device is revoked: its certificates never work again',
    cure: 'if that is not wanted, take back what says so and give the device a new key',
  },
  'HR-CLI-014': {
    title: 'NoCertificate',
    cause: 'the device has no certificate',
    cure: 'see the conditions of the Device: kubectl describe device',
  },
  'HR-CLI-015': {
    title: 'CertificateExpired',
    cause: 'the newest certificate of the device has expired',
    cure: 'see why it was not renewed: the condition Certified of the Device says so',
  },
  'HR-CLI-016': {
    title: 'CertificateNotValidYet',
    cause: 'the newest certificate of the device is not valid yet',
    cure: 'correct the clock of whoever signed it (cert-manager), or wait',
  },
  'HR-CLI-017': {
    title: 'ClocksDiffer',
    cause: 'clocks differ, or may differ, by more than a certificate forgives',
    cure: 'set the clocks by NTP; a device whose clock is slow finds a new certificate not valid yet, and one whose clock is wrong refuses the server',
  },
  'HR-CLI-018': {
    title: 'SegmentDiffers',
    cause: 'the certificate names another segment than the manifest: the device is moving',
    cure: 'give the device a certificate for its new segment: a new CSR, or let it re-enrol; until then rules for this device alone hold',
  },
  'HR-CLI-019': {
    title: 'CertificateNotKnown',
    cause: 'the ledger does not hold the certificate as one in force, so the operator disconnects who uses it',
    cure: 'give the device a new key and let it enrol again',
  },
  'HR-CLI-020': {
    title: 'NameNotResolved',
    cause: 'the name of the broker has no address here',
    cure: 'correct --mqtt, or the record of the name; the device may use another resolver than this machine',
  },
  'HR-CLI-021': {
    title: 'PortUnreachable',
    cause: 'nothing answers at the address and port of the broker',
    cure: 'see whether EMQX listens there, and what lies between: Service, firewall, NetworkPolicy',
  },
  'HR-CLI-022': {
    title: 'NoTls',
    cause: 'the broker does not finish a TLS handshake',
    cure: 'see the listener of EMQX: it must be ssl, with a certificate, and the port must be its own',
  },
  'HR-CLI-023': {
    title: 'ServerCertificateNotValid',
    cause: 'the certificate of the broker is over or has not begun',
    cure: 'renew the certificate of the listener',
  },
  'HR-CLI-024': {
    title: 'ServerNameWrong',
    cause: 'the certificate of the broker is for other names',
    cure: 'connect by a name that it has, or give the listener a certificate for this one',
  },
  'HR-CLI-025': {
    title: 'ServerNotTrusted',
    cause: 'the certificate of the broker does not lead to the CA given',
    cure: 'give devices the CA that signed it, or the listener the chain that devices know',
  },
  'HR-CLI-026': {
    title: 'TlsAlert',
    cause: 'the device says that its TLS handshake ended with this alert',
    cure: 'see what the alert means: RFC 8446 §6.2',
  },
  'HR-CLI-027': {
    title: 'NoRevocationList',
    cause: 'the CA of its certificate has no revocation list that is good: a broker that checks lists may refuse everybody of this CA',
    cure: 'see docs/guides/crl.md',
  },
  'HR-CLI-028': {
    title: 'SubjectOfOthers',
    cause:
      'the certificate is one of another CA with a subject of its own: the broker refuses it, and it is good for enrolling by EST alone',
    cure: 'let the device enrol by EST with it (docs/guides/existing-fleet.md)',
  },
  'HR-CLI-030': {
    title: 'Banned',
    cause: 'EMQX refuses this client id or certificate',
    cure: 'see who made the ban: it ends as that is taken back',
  },
  'HR-CLI-031': {
    title: 'OwnRules',
    cause: 'EMQX holds rules for this client alone, which come before those of its segment',
    cure: 'see what made them: a quarantine, a move between segments, or a person',
  },
  'HR-CLI-032': {
    title: 'SegmentWithoutRights',
    cause: 'the ACL text of EMQX grants the segment nothing: the device may connect and do nothing but firmware and recovery',
    cure: 'see the conditions of its SegmentPolicy: kubectl describe segmentpolicy',
  },
  'HR-CLI-033': {
    title: 'DeviceQuarantined',
    cause: 'the device is in quarantine: it may connect and use its firmware and recovery topics',
    cure: 'kubectl hedgerow release, if a person made it; spec.lifecycle, if Git did',
  },
  'HR-CLI-034': {
    title: 'NotReady',
    cause: 'a condition of the Device says that something is missing',
    cure: 'see the conditions of the Device: kubectl describe device',
  },
  'HR-CLI-040': {
    title: 'NoTokenForThisDevice',
    cause: 'the Device does not prove itself by a one-time token',
    cure: 'set spec.identity to enrollment: EST with est: {bootstrap: Token}; a Device that has a certificate renews with it and needs no token',
  },
  'HR-CLI-041': {
    title: 'TokenForRevoked',
    cause: 'the device is revoked: the EST server refuses it whatever it shows',
    cure: 'take back what revokes it (spec.lifecycle, or the Intervention) first; it then enrols with a new key',
  },
  'HR-CLI-042': {
    title: 'TokensNotStored',
    cause: 'the Secret of the tokens changed each time it was to be written, or is full',
    cure: 'try again; a namespace holds about 5,000 tokens at a time, used and expired ones go by themselves a day after their end',
  },
  'HR-CLI-043': {
    title: 'FileExists',
    cause: 'the file to write is there already, and may hold secrets that are nowhere else',
    cure: 'name another file, or remove this one',
  },
  'HR-CLI-044': {
    title: 'FileNotWritten',
    cause: 'a file cannot be written',
    cure: 'correct the path, or the rights of the folder',
  },
  'HR-CLI-050': {
    title: 'SheetUnreadable',
    cause: 'the CSV file cannot be read as a whole',
    cure: 'see docs/guides/existing-fleet.md for its columns; the first line names them, cells are parted by commas, at most 100,000 rows and 64 MiB',
  },
  'HR-CLI-051': {
    title: 'RowUnreadable',
    cause: 'a row does not read as CSV (RFC 4180), or has another number of cells than the first line',
    cure: 'correct the row: a cell with a comma, a quote or a line break stands in quotes, and a quote in it is doubled',
  },
  'HR-CLI-052': {
    title: 'RowInvalid',
    cause: 'what the row says is no good Device',
    cure: 'correct the cell; docs/reference/device.md says what each field may be',
  },
  'HR-CLI-053': {
    title: 'RowTwice',
    cause: 'another row, or a Device in the cluster, has the same name, serial number or key',
    cure: 'correct the row: a name, a serial number and a key belong to one device; the first of several is taken',
  },
  'HR-CLI-054': {
    title: 'FileOfRowUnreadable',
    cause: 'the request or certificate that belongs to the row cannot be read',
    cure: 'put it into the folder of --files (default: that of the CSV), under the name in csr_file or certificate_file, or <name>.csr or <name>.crt; in PEM, at most 16 KiB',
  },
  'HR-CLI-055': {
    title: 'ManifestDiffers',
    cause: 'the manifest of this name is there already and says something else than the row',
    cure: 'correct the row, or pass --replace if the row is right',
  },
  'HR-CLI-056': {
    title: 'DeviceDiffers',
    cause: 'a Device of this name is in the cluster already and says something else than the row',
    cure: 'correct the row, or pass --replace if the row is right; a change of its identity may cost it its certificate',
  },
  'HR-CLI-057': {
    title: 'DeviceRefused',
    cause: 'the API server does not take the Device of the row',
    cure: 'see its words',
  },
  'HR-CLI-060': {
    title: 'ManifestsIncomplete',
    cause:
      'a file or an object could not be read, or is a kind of policy that is not evaluated, so the answer does not take it into account',
    cure: 'correct the file, or take it out of the directory (a template is rendered first)',
  },
  'HR-CLI-061': {
    title: 'MudEntryLeftOut',
    cause: 'an entry of the MUD file cannot be said by a SegmentPolicy, or names a peer that nobody has mapped',
    cure: 'map the peer with --map, or write the conduit by hand; what is left out is denied',
  },
  'HR-CLI-062': {
    title: 'MudRefused',
    cause: 'the file is no MUD file that can be read safely (RFC 8520)',
    cure: "get the maker's file again and check its signature; do not correct it by hand",
  },
  'HR-CLI-063': {
    title: 'NotListed',
    cause: 'a kind of object could not be listed in the cluster, so the answer does not take it into account',
    cure: 'ask for the right to list it in all namespaces (a ClusterRole), or install the CRDs; --dir DIR asks a directory of manifests instead',
  },
  'HR-CLI-064': {
    title: 'NobodyOfThisName',
    cause: 'there is no Device, SegmentPolicy or pod of this name in what was asked',
    cure: 'name its namespace (NS/NAME, segment/NS/NAME, pod/NS/NAME, or -n NS); see "kubectl hedgerow graph" for the segments',
  },
  'HR-CLI-065': {
    title: 'InvariantsUnreadable',
    cause: 'the file of invariants does not read, or says something that no invariant can say; nothing was checked',
    cure: 'correct the path that is named; docs/guides/verify.md has the schema and examples',
  },
  'HR-CLI-066': {
    title: 'InvariantNamesNobody',
    cause:
      'an invariant names a namespace, segment, function or pods that are not in what was checked, so it is kept by not being looked at',
    cure: 'correct the name, or take the invariant out of the file',
  },
  'HR-CLI-067': {
    title: 'BrokerRulesNotUnderstood',
    cause:
      'a rule at the broker is not understood, and the answer depends on it: it may allow what was asked, so this is no proof that it cannot be',
    cure: 'look at the rule that is named, or write it in a form that docs/guides/reach-topics.md lists; with --acl, end the text with {deny, all}, or ask the broker with --broker-url',
  },
  'HR-CLI-075': {
    title: 'NoSuchRelease',
    cause: 'the manifests have no FirmwareRelease of this name, or several and none was named; or the release has no such wave',
    cure: 'name one with --release NS/NAME, and a wave of it with --wave',
  },
  'HR-CLI-076': {
    title: 'ReleaseUnfit',
    cause: 'the spec of the FirmwareRelease is not what the API server would take',
    cure: 'correct the field that is named; "kubectl explain firmwarerelease.spec" has all of them',
  },
  'HR-CLI-077': {
    title: 'RolloutNeedsAPerson',
    cause: 'the release would not go through all of its devices by itself',
    cure: 'give the wave more devices, the gate a limit that so many can show, or let somebody approve the wave; devices in no wave need a wave without size as the last',
  },
  'HR-CLI-080': {
    title: 'RootsThere',
    cause: 'the folder has trust roots already, and the first one is never made twice',
    cure: 'use "kubectl hedgerow firmware root change" for the next one, or another folder',
  },
  'HR-CLI-081': {
    title: 'NoRoot',
    cause: 'the folder has no trust root, or no draft of the next one',
    cure: 'make it with "kubectl hedgerow firmware root init" or "change"; signing ends with a published root, see "root show"',
  },
  'HR-CLI-082': {
    title: 'KeyNotInRoot',
    cause: 'the key is no root key of this root nor of the one before: its signature would count for nothing',
    cure: 'sign with a root key; who signs is decided by --root-key of "root init" and "root change"',
  },
  'HR-CLI-083': {
    title: 'DraftOutOfDate',
    cause: 'the draft is for another version than the next one',
    cure: 'remove it and make it again with "kubectl hedgerow firmware root change"; copy the newest roots into the folder first',
  },
  'HR-CLI-084': {
    title: 'ReleaseFileWrong',
    cause: 'the file that describes the release does not say what it has to',
    cure: 'see docs/guides/firmware-trust.md for the fields',
  },
  'HR-CLI-085': {
    title: 'AnotherStatement',
    cause: 'the envelope holds another statement than the one that is to be signed',
    cure: 'name another envelope for another release; a file that changed after it was signed is another release too',
  },
  'HR-CLI-086': {
    title: 'RememberedUnreadable',
    cause: 'the file with the last accepted root cannot be read as one',
    cure: 'put it back from a copy; only whoever is sure that no root was taken back removes it',
  },
  'HR-CLI-090': {
    title: 'NoTrustState',
    cause: 'the ConfigMap of the rotation is not there, or no operator has written to it',
    cure: 'pass --operator-namespace and --trust-state; see whether trust.enabled of the chart is set and an operator runs',
  },
  'HR-CLI-091': {
    title: 'NothingToForce',
    cause: 'only a rotation that waits for devices can be forced',
    cure: 'see "kubectl hedgerow trust status" for what it waits for',
  },
  'HR-CLI-092': {
    title: 'ReleaseNotFound',
    cause: 'there is no FirmwareRelease of this name in this namespace',
    cure: 'pass --namespace, or see "kubectl get firmwarereleases -A"',
  },
  'HR-CLI-093': {
    title: 'NothingToApprove',
    cause: 'no wave of the release waits for an approval',
    cure: 'see "kubectl hedgerow rollout status" for what it waits for; to approve a wave ahead name it with --wave',
  },
  'HR-CLI-094': {
    title: 'ApprovalCountsNot',
    cause: 'nobody approves a release of their own, and without spec.author nobody knows whose it is',
    cure: 'let somebody else than the author approve it; without an author set spec.author to the user who writes the release',
  },
  'HR-CLI-095': {
    title: 'ReleaseNotVerified',
    cause: 'an approval names the statement that was verified, and the status has none, or it is about an older text of the release',
    cure: 'wait until the operator has verified it; the condition ArtifactVerified of the release says what is wrong',
  },
  'HR-CLI-096': {
    title: 'NotConfirmed',
    cause: 'the question was not answered by yes, or there is no terminal to ask on',
    cure: 'nothing was done; type yes, or pass --yes where no person is asked',
  },
  'HR-CLI-097': {
    title: 'NoSuchWave',
    cause: 'the release has no wave of this name',
    cure: 'name one of those that "kubectl hedgerow rollout status" lists',
  },
  'HR-CLI-098': {
    title: 'CommandUnfit',
    cause: 'no device would take such a command',
    cure: 'see docs/reference/edge-commands.md for its form',
  },
  'HR-CLI-099': {
    title: 'CannotSignCommand',
    cause: 'key and certificate are not those of a Device that signs commands',
    cure: 'give the certificate of a Device of the site and its key, P-256 or Ed25519: docs/reference/edge-commands.md',
  },
} as const;

export type CliCode = keyof typeof ERRORS;

/** `HR-CLI-001: <what was found>. Cure: <cure>`: one line a person can act on. */
export function explain(code: CliCode, found: string): string {
  return `${code}: ${found}. Cure: ${ERRORS[code].cure}`;
}

/** Ends a command with a line that is already fit for a person. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(code: CliCode, found: string) {
    super(explain(code, found));
  }
}
