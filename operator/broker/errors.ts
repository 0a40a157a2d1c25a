// What can stand between a Device and its rights at the broker. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-BRK-001': {
    title: 'BrokerUnreachable',
    cause:
      "EMQX's REST API gives no answer: it is down, starting, the address is wrong, its certificate is not trusted, or a NetworkPolicy is in between",
    cure: 'see whether EMQX runs and whether --broker-url and --broker-ca-file are right; it is asked again every few seconds and everything is repaired by itself',
  },
  'HR-BRK-002': {
    title: 'KeyRefused',
    cause: 'EMQX does not know the API key, or the file holds no <key>:<secret>',
    cure: 'put a valid key into the Secret behind --broker-api-key-file (api_key.bootstrap_file of EMQX makes one); it is read again at every attempt',
  },
  'HR-BRK-003': {
    title: 'KeyLacksRights',
    cause: 'EMQX knows the API key but does not let it do this: from 5.10.4 on keys have a role and scopes',
    cure: 'give the key the role administrator and the scopes connections, access_control, cluster_operations and system',
  },
  'HR-BRK-004': {
    title: 'BrokerFailed',
    cause: 'EMQX answered with an error of its own (5xx). Its text is not shown: EMQX writes the caller’s credentials into it',
    cure: "look into EMQX's own log; it is tried again by itself",
  },
  'HR-BRK-005': {
    title: 'AnswerNotUnderstood',
    cause: 'an answer was cut off, was no JSON, or had another form than EMQX gives: something else may listen there',
    cure: 'see whether --broker-url leads to EMQX 5.8 or newer without a proxy that changes answers; it is tried again by itself',
  },
  'HR-BRK-006': {
    title: 'ForeignAcl',
    cause: 'the ACL text of this EMQX was written by others: nothing was changed',
    cure: 'see with "kubectl hedgerow adopt broker" what would be kept and who would lose access, then confirm with --yes',
  },
  'HR-BRK-007': {
    title: 'ForeignRecord',
    cause: "another party's rules in EMQX's built-in database give this client rights that no SegmentPolicy gives",
    cure: 'delete the record in EMQX (Access Control, Authorization, Built-in Database, Client ID)',
  },
  'HR-BRK-010': {
    title: 'PlainListener',
    cause: 'EMQX listens without TLS: whoever reaches that port may take any client id',
    cure: 'switch it off: listeners.tcp.default.enable = false and listeners.ws.default.enable = false',
  },
  'HR-BRK-011': {
    title: 'CertificateNotRequired',
    cause: 'a TLS listener lets clients in without a certificate of the device CA',
    cure: 'set verify = verify_peer and fail_if_no_peer_cert = true in its ssl_options',
  },
  'HR-BRK-012': {
    title: 'OldTls',
    cause: 'a TLS listener offers a version below TLS 1.3',
    cure: 'set versions = ["tlsv1.3"] in its ssl_options (a shared EMQX may keep "tlsv1.2" with reuse_sessions = false)',
  },
  'HR-BRK-013': {
    title: 'IdentityNotForced',
    cause: 'client id or user name are chosen by the client instead of being taken from its certificate',
    cure: 'set mqtt.peer_cert_as_clientid = cn and mqtt.peer_cert_as_username = md5',
  },
  'HR-BRK-014': {
    title: 'SegmentAttributeWrong',
    cause:
      'mqtt.client_attrs_init does not take the segment out of the certificate with the expression that ties it to the namespace of the name',
    cure: 'set mqtt.client_attrs_init as docs/guides/emqx.md says',
  },
  'HR-BRK-015': {
    title: 'OddCertificatesAdmitted',
    cause:
      "mqtt.clientid_override does not send certificates of another form to one banned id: such a certificate can take over any device's session",
    cure: 'set mqtt.clientid_override as docs/guides/emqx.md says',
  },
  'HR-BRK-016': {
    title: 'AllowedByDefault',
    cause: 'what no rule mentions is allowed',
    cure: 'set authorization.no_match = deny',
  },
  'HR-BRK-017': {
    title: 'RecordForAll',
    cause: 'a record for all clients in the built-in database gives every device more than its segment',
    cure: 'delete it: DELETE /authorization/sources/built_in_database/rules/all',
  },
  'HR-BRK-018': {
    title: 'DelayedMessages',
    cause: 'delayed publishing is on: a device may park messages that are delivered after it was quarantined',
    cure: 'set delayed.enable = false',
  },
  'HR-BRK-019': {
    title: 'InvalidCertificateNotBanned',
    cause: 'the id to which certificates of another form are sent is not banned',
    cure: 'nothing: the operator bans it again; if it lasts, see who deletes bans',
  },
  'HR-BRK-020': {
    title: 'SourcesWrong',
    cause: 'the authorization sources are not the built-in database followed by the file, both enabled, and nothing else before them',
    cure: 'set authorization.sources = [{type = built_in_database, enable = true}, {type = file, enable = true, …}]',
  },
  'HR-BRK-021': {
    title: 'PostureUnknown',
    cause: 'a part of the configuration of EMQX could not be read, so that nobody knows whether it is safe',
    cure: 'give the API key the scope system, or see the log for the answer of EMQX',
  },
  'HR-BRK-022': {
    title: 'BrokerCaMissing',
    cause: 'EMQX does not take the CA certificates of the devices into its listener ssl:default',
    cure: 'see the log for its answer: the key needs the scope system, and the listener must exist; until then devices keep certificates of CAs that the broker trusts',
  },
  'HR-BRK-030': {
    title: 'SegmentRefused',
    cause: 'EMQX refused the rule of this segment; the segment is denied everything but ota/ and recovery/, all others are in force',
    cure: 'see the message and simplify spec.topics of the SegmentPolicy',
  },
  'HR-BRK-031': {
    title: 'RuleBudgetSpent',
    cause:
      'the ACL text has as many rules, or as many topics of other segments by name, as the broker bears (each connection copies them all); the newest segments that need more are left out',
    cure: 'give segments the same topics with {segment} and {device} so that they share a rule, let fewer services read other segments, or remove policies',
  },
  'HR-BRK-032': {
    title: 'TopicUnsafe',
    cause: 'a topic or a name could be read by the broker in another way than it was meant',
    cure: 'use words, {device}, {segment}, + and a final # only, each alone in its level',
  },
  'HR-BRK-033': {
    title: 'TextNotSent',
    cause: 'the ACL text that was made does not say what was meant, so it was not sent; the text before it stays in force',
    cure: 'report it with the log line: this is a defect',
  },
  'HR-BRK-034': {
    title: 'TooManyRules',
    cause: "a device that moved needs more rules than EMQX's built-in database takes for one client; those beyond are left out",
    cure: 'renew its certificate, so that the rules of its new segment hold instead',
  },
  'HR-BRK-040': {
    title: 'EventsNotInstalled',
    cause:
      'EMQX does not take the connector, action or rules by which it tells of denials and connects, or the certificate of the operator cannot be read; nothing but counts of them is missing',
    cure: 'see the message: the key needs the scope data_integration from 5.10.4 on; the folder of --broker-events-tls needs tls.crt, tls.key and ca.crt',
  },
  'HR-BRK-041': {
    title: 'EventRefused',
    cause:
      'a request to the feed of events is none of EMQX: another token, no event that was asked for, too large, or too many at once; it is counted nowhere but as refused',
    cure: 'nothing where a restart of the operator is under way (its token is new); otherwise see who reaches its port beside the broker',
  },
} as const;

export type BrokerCode = keyof typeof ERRORS;

/** The condition reason of a code, for example `ForeignAcl`. */
export function reasonOf(code: BrokerCode): string {
  return ERRORS[code].title;
}

/** `HR-BRK-010: what was found. Cure: …`: one line a person can act on. */
export function explain(code: BrokerCode, found?: string): string {
  return `${code}: ${found ?? ERRORS[code].cause}. Cure: ${ERRORS[code].cure}`;
}
