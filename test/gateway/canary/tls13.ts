// What was said over a TLS 1.3 connection, out of the bytes on the wire and a key log (NSS format): RFC 8446, 5 and 7, by node:crypto alone.
import { createDecipheriv, createHmac } from 'node:crypto';

export type Wire = { fromClient: Buffer; fromServer: Buffer };
type Suite = { cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'; hash: 'sha256' | 'sha384'; keyBytes: number };

const SUITES: Readonly<Record<number, Suite>> = {
  4865: { cipher: 'aes-128-gcm', hash: 'sha256', keyBytes: 16 },
  4866: { cipher: 'aes-256-gcm', hash: 'sha384', keyBytes: 32 },
  4867: { cipher: 'chacha20-poly1305', hash: 'sha256', keyBytes: 32 },
};
const [HANDSHAKE, APPLICATION, ALERT] = [22, 23, 21];
const [FINISHED, KEY_UPDATE] = [20, 24];

/** The application data of both directions. Throws when a record does not decrypt, so that nothing on the wire goes unseen. */
export function decrypted(wire: Wire, keyLog: string): Wire {
  const [client, server] = [recordsOf(wire.fromClient), recordsOf(wire.fromServer)];
  const random = helloBody(client).subarray(2, 34).toString('hex');
  const hellos = server.filter(({ type, body }) => type === HANDSHAKE && body[0] === 2);
  const hello = (hellos.at(-1)?.body ?? Buffer.alloc(0)).subarray(4);
  const suite = SUITES[hello.readUInt16BE(35 + hello.readUInt8(34))];
  if (suite === undefined) throw new Error('no TLS 1.3: the cipher suite is none of it');
  const secret = (label: string): Buffer => secretOf(keyLog, label, random);
  const one = (records: Record_[], who: 'CLIENT' | 'SERVER'): Buffer =>
    applicationData(records, suite, secret(`${who}_HANDSHAKE_TRAFFIC_SECRET`), secret(`${who}_TRAFFIC_SECRET_0`));
  return { fromClient: one(client, 'CLIENT'), fromServer: one(server, 'SERVER') };
}

type Record_ = { type: number; header: Buffer; body: Buffer };

/** A record that the end of the connection cut off is left out: nobody could read it. */
function recordsOf(bytes: Buffer): Record_[] {
  const records: Record_[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    if (end > bytes.length) break;
    records.push({ type: bytes.readUInt8(at), header: bytes.subarray(at, at + 5), body: bytes.subarray(at + 5, end) });
    at = end;
  }
  return records;
}

function helloBody(records: readonly Record_[]): Buffer {
  const first = records[0];
  if (first?.type !== HANDSHAKE || first.body.readUInt8() !== 1) throw new Error('the first record is no ClientHello');
  return first.body.subarray(4);
}

function secretOf(keyLog: string, label: string, random: string): Buffer {
  const found = new RegExp(`^${label} ${random} ([0-9a-f]+)$`, 'm').exec(keyLog)?.[1];
  if (found === undefined) throw new Error(`the key log has no ${label} of this connection`);
  return Buffer.from(found, 'hex');
}

function applicationData(records: readonly Record_[], suite: Suite, handshake: Buffer, traffic: Buffer): Buffer {
  const data: Buffer[] = [];
  let secret = handshake;
  let keys = keysOf(suite, secret);
  let isHandshake = true;
  let messages = Buffer.alloc(0);
  for (const record of records) {
    if (record.type !== APPLICATION) continue;
    const { type, content } = open(suite, keys, record);
    if (type === APPLICATION) data.push(content);
    if (type !== HANDSHAKE && type !== APPLICATION && type !== ALERT) throw new Error(`a record of type ${type}`);
    if (type !== HANDSHAKE) continue;
    messages = Buffer.concat([messages, content]);
    while (messages.length >= 4 && messages.length >= 4 + messages.readUIntBE(1, 3)) {
      const kind = messages.readUInt8();
      messages = messages.subarray(4 + messages.readUIntBE(1, 3));
      if (kind === FINISHED && isHandshake) [secret, isHandshake] = [traffic, false];
      else if (kind === KEY_UPDATE) secret = expand(suite, secret, 'traffic upd', secret.length);
      else continue;
      keys = keysOf(suite, secret);
    }
  }
  return Buffer.concat(data);
}

type Keys = { key: Buffer; iv: Buffer; sequence: bigint };

const keysOf = (suite: Suite, secret: Buffer): Keys => ({
  key: expand(suite, secret, 'key', suite.keyBytes),
  iv: expand(suite, secret, 'iv', 12),
  sequence: 0n,
});

function open(suite: Suite, keys: Keys, { header, body }: Record_): { type: number; content: Buffer } {
  const nonce = Buffer.from(keys.iv);
  nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ keys.sequence, 4);
  keys.sequence += 1n;
  const options = { authTagLength: 16 };
  const opener = createDecipheriv(suite.cipher as 'aes-128-gcm', keys.key, nonce, options).setAAD(header);
  opener.setAuthTag(body.subarray(-16));
  const plain = Buffer.concat([opener.update(body.subarray(0, -16)), opener.final()]);
  let end = plain.length - 1;
  while (end > 0 && plain[end] === 0) end -= 1;
  return { type: plain[end] ?? 0, content: plain.subarray(0, end) };
}

/** HKDF-Expand-Label with an empty context (RFC 8446, 7.1); what is asked for is never longer than one hash. */
function expand({ hash }: Suite, secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([length >> 8, length & 255, name.length]), name, Buffer.from([0, 1])]);
  return createHmac(hash, secret).update(info).digest().subarray(0, length);
}
