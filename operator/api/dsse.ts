/** What a DSSE signature is over: PAE of the specification (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). */
export function preAuthentication(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}
