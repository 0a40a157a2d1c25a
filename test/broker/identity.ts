/** Who a connection is: EMQX takes client id, user name and attributes from the certificate, not from what the client says. */

import { randomBytes } from 'node:crypto';
import type { IConnectPacket } from 'mqtt-packet';
import type { AclClient } from './acl-rule.ts';
import type { MqttConfig } from './config.ts';
import type { PeerIdentity } from './subject.ts';
import { compileExpression, type Expression } from './variform.ts';

export type Peer = { host: string; port: number; sni?: string; certificate?: PeerIdentity };

/** `assigned` is set when the broker had to invent the client id (MQTT-3.1.3-7). */
export function identify(mqtt: MqttConfig, packet: IConnectPacket, peer: Peer): { client: AclClient; assigned?: string } {
  const certificate = peer.certificate;
  const fromCertificate = (as: string): string | undefined => {
    if (as === 'cn') return certificate?.cn;
    if (as === 'dn') return certificate?.dn;
    return as === 'md5' ? certificate?.md5 : undefined;
  };
  const username = fromCertificate(mqtt.peer_cert_as_username) ?? packet.username ?? undefined;
  let clientid = fromCertificate(mqtt.peer_cert_as_clientid) ?? packet.clientId;
  let assigned: string | undefined;
  if (clientid === '' && certificate?.cn === undefined) {
    assigned = `emqx_${randomBytes(8).toString('hex')}`;
    clientid = assigned;
  }
  const variables = { clientid, username, cn: certificate?.cn, dn: certificate?.dn, peersni: peer.sni };
  if (mqtt.clientid_override !== 'disabled' && mqtt.clientid_override !== '') {
    clientid = expression(mqtt.clientid_override)(variables) || clientid;
  }
  const attrs: Record<string, string> = {};
  for (const { expression: source, set_as_attr } of mqtt.client_attrs_init) {
    const value = expression(source)({ ...variables, clientid });
    if (value !== undefined && value !== '') attrs[set_as_attr] = value;
  }
  const client: AclClient = { clientid, peerhost: peer.host, zone: 'default', attrs };
  if (username !== undefined) client.username = username;
  if (certificate?.cn !== undefined) client.cn = certificate.cn;
  if (certificate) client.dn = certificate.dn;
  return assigned === undefined ? { client } : { client, assigned };
}

const compiledExpressions = new Map<string, Expression>();

function expression(source: string): Expression {
  let compiled = compiledExpressions.get(source);
  if (!compiled) {
    compiled = compileExpression(source);
    compiledExpressions.set(source, compiled);
  }
  return compiled;
}
