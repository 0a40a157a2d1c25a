// Why the gateway does not take something. Codes are stable: docs/reference/errors.md is generated from this table.
export const ERRORS = {
  'HR-GW-101': {
    title: 'DiskFull',
    cause: 'the disk has no room, though the spool is within its bytes: others have filled it',
    cure: 'give the spool a volume of its own, or free the disk; what was not taken is offered again by whoever sent it',
  },
  'HR-GW-102': {
    title: 'DiskFailed',
    cause: 'the directory of the spool could not be read or written',
    cure: 'look at the disk: the log has the error of the system; what was acknowledged before is kept, or named by a DataLoss record',
  },
  'HR-GW-103': {
    title: 'RecordUnfit',
    cause: 'the record is larger than a quarter of a segment, its key or subject is longer than 1,024 bytes, or its times are no numbers',
    cure: 'give the spool more bytes, or send smaller records',
  },
  'HR-GW-104': {
    title: 'SpoolBusy',
    cause: 'more records wait to be written than a segment holds: they come faster than the disk takes them',
    cure: 'send again when those before are acknowledged; if it lasts, use a faster disk',
  },
  'HR-GW-105': {
    title: 'SpoolClosed',
    cause: 'the gateway is stopping',
    cure: 'send again when it runs',
  },
  'HR-GW-201': {
    title: 'EnvelopeMalformed',
    cause:
      'a message is not wrapped in {v, boot, seq, ts, m}: another version, a number that is no whole one from 1 on, or a field that none has',
    cure: 'see docs/reference/edge-replay.md for what firmware has to send',
  },
  'HR-GW-202': {
    title: 'Replayed',
    cause: 'the sequence number of this start of the device was there before',
    cure: 'nothing when the broker delivered a message again; otherwise somebody sends recorded messages: look at who connects as this device',
  },
  'HR-GW-203': {
    title: 'TooLate',
    cause: 'so many messages with higher numbers came first that nobody can say any more whether this one was there before',
    cure: 'let the device send in order, or raise spec.payload.replay.window of the segment',
  },
  'HR-GW-204': {
    title: 'BootReplaced',
    cause: 'the device has started anew since: its boot counter was higher already',
    cure: 'nothing for a message that was under way; otherwise let the firmware count its starts in memory that keeps them',
  },
  'HR-GW-205': {
    title: 'ClockOff',
    cause: "the time of the message is further from the gateway's than spec.payload.replay.maxSkew",
    cure: 'set the clock of the device (or of the gateway); send what was stored with backfill: true',
  },
  'HR-GW-206': {
    title: 'OutsideGap',
    cause: 'the message says that it was stored, and is of a time at which the device was heard, or of the future',
    cure: 'send with backfill: true only what was measured while nothing could be sent',
  },
  'HR-GW-207': {
    title: 'TooManyDevices',
    cause: 'as many devices are known as the gateway remembers; forgetting one would let its messages be sent again',
    cure: 'give the gateway more, or delete Devices that are gone',
  },
  'HR-GW-301': {
    title: 'DevicesFileUnfit',
    cause: 'the file of --devices-file is no list of devices of this site',
    cure: 'write it as docs/reference/edge-gateway.md says; while the gateway runs, the devices before stay known',
  },
  'HR-GW-302': {
    title: 'TopicForeign',
    cause:
      'the topic is not dt/{segment}/{device}/<stream> (with spec.payload.format: SparkplugB not one of Sparkplug), or names a segment that this gateway has no policy for',
    cure: 'publish telemetry as the SegmentPolicy says; a topic that no policy grants does not reach the gateway unless the broker lets it through',
  },
  'HR-GW-303': {
    title: 'DeviceUnknown',
    cause: 'the topic names a device that is no Device of this site, or one of another segment',
    cure: 'make the Device, or let it publish under its own segment; after a move its messages count from when the gateway knows of it',
  },
  'HR-GW-304': {
    title: 'DeviceShut',
    cause: 'the Device is quarantined or revoked',
    cure: 'nothing as long as it is meant to be; end the quarantine to hear the device again',
  },
  'HR-GW-305': {
    title: 'TooLarge',
    cause: 'the payload has more bytes than the segment allows',
    cure: 'send less at a time, or raise spec.limits.maxPacket of the segment',
  },
  'HR-GW-306': {
    title: 'Undecodable',
    cause: 'the payload is neither JSON nor CBOR',
    cure: 'see docs/reference/edge-gateway.md for what is read of both',
  },
  'HR-GW-307': {
    title: 'SchemaViolated',
    cause: 'the message does not fit a schema of the segment, or its texts are more than the patterns of the schema may be tried on',
    cure: 'change the firmware, or spec.payload.schemas of the segment',
  },
  'HR-GW-308': {
    title: 'TooManyReadings',
    cause:
      'the message has more than 64 numbers or 1,024 values in all, is nested more than eight deep, or has a number with a name of more than 128 characters',
    cure: 'split the message into streams',
  },
  'HR-GW-311': {
    title: 'ConfigUnfit',
    cause: 'the file of --config-file is no configuration of a gateway that this one knows',
    cure: 'let the operator write it, of the same version as the gateway; the configuration before stays in force',
  },
  'HR-GW-312': {
    title: 'SchemaUnfit',
    cause: 'a schema of a segment is no JSON Schema (draft 2020-12), or could take too long on a message',
    cure: 'see docs/reference/edge-gateway.md for what a schema may have; the configuration before stays in force',
  },
  'HR-GW-313': {
    title: 'IdentityUnfit',
    cause: 'certificate, key and CAs of the gateway at a broker do not read, or do not belong together',
    cure: 'look at the Secret that is mounted; while the gateway runs, the files before stay in force',
  },
  'HR-GW-314': {
    title: 'BrokerRefused',
    cause: 'the local broker does not let the gateway connect, or subscribe the telemetry of a segment',
    cure: 'the segment has to accept the gateway: spec.acceptFrom of its SegmentPolicy with the topic dt/{segment}/# and the action subscribe, and the policy of the gateway names that topic; it asks again every minute. Look at the certificate of the gateway',
  },
  'HR-GW-401': {
    title: 'NotToLeave',
    cause:
      'the egress of the segment does not let messages of this type go, or no longer; or it waited under the name of a device, or is a trend of few, and the policy has pseudonyms or larger groups by now',
    cure: 'nothing where it is meant so; otherwise change spec.egress or spec.telemetry of the SegmentPolicy',
  },
  'HR-GW-402': {
    title: 'UnfitToLeave',
    cause: 'what was to leave fits no schema of what may leave a site',
    cure: 'report it: the gateway would have sent more than it may',
  },
  'HR-GW-403': {
    title: 'OfNobody',
    cause: 'what was to leave is of a segment without a policy, or of a device that is no Device any more',
    cure: 'nothing: what a device or a segment leaves behind does not leave the site',
  },
  'HR-GW-404': {
    title: 'ResidentsUnreadable',
    cause:
      'the file of the devices of which the gateway has something on its disk does not read: which of them are gone, and have to be erased, nobody knows',
    cure: 'restore the file from a backup of the volume, or give the gateway an empty volume: what it had not sent yet is lost then',
  },
  'HR-GW-501': {
    title: 'UplinkRefused',
    cause: 'the cloud broker does not take the connection of the gateway',
    cure: 'see what the reason code says: 0x87 is a certificate that has no rights there, 0x8a a ban, 0x89 and 0x97 a broker that has too much to do; it is tried again',
  },
  'HR-GW-502': {
    title: 'NotTaken',
    cause: 'the cloud broker refuses a message of the site, by its reason code; the message is kept, and the others go past it',
    cure: 'grant the subject of the uplink to publish below agg/<site>/ and alert/<site>/, and below raw/<site>/ while a policy says Raw; 0x97 is a quota of the broker',
  },
  'HR-GW-503': {
    title: 'NobodyListens',
    cause: 'the cloud broker has nobody who takes a message of the site (reason code 0x10), and would throw it away; it is kept',
    cure: 'let the cloud consumer subscribe; its session holds what comes while it is away',
  },
  'HR-GW-504': {
    title: 'TooLargeForCloud',
    cause: 'the message is larger than the cloud broker takes, so that it would end the connection; it is left out',
    cure: 'raise mqtt.max_packet_size of the cloud broker to 256KB at least',
  },
  'HR-GW-601': {
    title: 'NotAsked',
    cause:
      'the ConfigMap hedgerow-gateway-asks of the namespace could not be read or written, so no device is quarantined for what the gateway sees',
    cure: 'see whether the API server is there; install the gateway by charts/hedgerow-edge, which makes the ConfigMap and lets the gateway write it',
  },
  'HR-GW-701': {
    title: 'CannotSign',
    cause: 'commands are signed with the key by which the gateway is connected, and that is none that devices take',
    cure: 'give the gateway a certificate of the issuer of its devices with a key on P-256 or Ed25519; see docs/reference/edge-commands.md',
  },
  'HR-GW-702': {
    title: 'CommandNotAuthorized',
    cause: 'the broker does not let the gateway publish at this topic of cmd/',
    cure: "give the gateway's segment the topic cmd/<segment>.<namespace>/+/+ to publish, and the segment of the device an acceptFrom for it",
  },
  'HR-GW-703': {
    title: 'CommandOver',
    cause: 'its time was over, or newer ones took its place, before the broker had it',
    cure: 'look at the connection of the gateway to its broker; validFor of the rule says how long a command may wait',
  },
  'HR-GW-704': {
    title: 'ReceiverUnknown',
    cause: 'the rule tells a device that is no Active Device of that segment',
    cure: 'correct spec.localRules[].to, or let the Device become Active',
  },
  'HR-GW-705': {
    title: 'CommandUnfit',
    cause: 'the rule makes a command that no device would take',
    cure: 'compare the rule with docs/reference/edge-commands.md; the configuration was not compiled by the operator of this version',
  },
  'HR-GW-711': {
    title: 'NothingHeard',
    cause: 'nothing was heard of the device, or of its stream, since the gateway has its disk',
    cure: 'see that the device sends to dt/{segment}/{device}/<stream>, and that its segment has a SegmentPolicy',
  },
  'HR-GW-712': {
    title: 'AnswerTooLong',
    cause: 'the last values of the device are more than one message takes',
    cure: 'ask for one stream of it',
  },
  'HR-GW-801': {
    title: 'NoSparkplug',
    cause:
      'the payload is none of Sparkplug B: bytes that are no Protocol Buffers, more than 2,000 metrics, or a name of more than 256 bytes',
    cure: 'let the node send Sparkplug B 3.0, or let the segment have spec.payload.format: Envelope',
  },
  'HR-GW-802': {
    title: 'NoSparkplugTime',
    cause: 'the payload has no timestamp or no seq of 0 to 255, and by these the gateway tells a message that was there before',
    cure: 'let the node send both with each birth and each message, as Sparkplug B 3.0 says; its clock has to be set',
  },
  'HR-GW-803': {
    title: 'NotBorn',
    cause:
      'no birth said what a metric is called: none was heard since the gateway started, messages of the node are missing since, or it had no such metric',
    cure: 'nothing where the gateway may ask for another birth: it does; otherwise give it that right (HR-GW-805), or restart the node',
  },
  'HR-GW-804': {
    title: 'BirthUnfit',
    cause:
      'a node has more than 256 names or 64 devices, a name has more than 128 characters, two names or aliases are the same (/ counts as .), or all nodes together have more than 200,000 names',
    cure: 'let the node publish less, or give its metrics names of their own',
  },
  'HR-GW-805': {
    title: 'CannotAskForBirth',
    cause:
      'the broker does not let the gateway ask the nodes of a segment for another birth; who was born before the gateway was there is not heard',
    cure: "give the gateway's segment the topic spBv1.0/<segment>.<namespace>/NCMD/+ to publish, and the segment an acceptFrom for it",
  },
} as const;

export type GatewayCode = keyof typeof ERRORS;

export class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: GatewayCode;
  /** `found`: what was seen, in a few words; never a payload. */
  constructor(code: GatewayCode, cause?: unknown, found?: string) {
    const { title, cause: why, cure } = ERRORS[code];
    super(`${code} ${title}: ${why}${found === undefined ? '' : ` (${found})`}. ${cure}.`, { cause });
    this.code = code;
  }
}

/** What the system says is kept as the cause. */
export function refusedBy(error: unknown): Refused {
  if (error instanceof Refused) return error;
  const isFull = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return new Refused(isFull ? 'HR-GW-101' : 'HR-GW-102', error);
}
