// Boot reports, signed by a key that only a test would show around.
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { preAuthentication } from '../../api/dsse.ts';
import type { BootReport, StateReport } from '../messages.ts';
import { BOOT_TYPE } from '../protocol.ts';
import { DEVICE, NEW, NONCE } from './messages.ts';

export const booted = (fields: Partial<BootReport> = {}): BootReport => ({
  ...{
    v: 1,
    device: DEVICE,
    component: 'app',
    boot: 4,
    slot: 'B',
    digest: NEW,
    version: '2.4.0',
    securityCounter: 5,
    mode: 'Test',
    nonce: NONCE,
  },
  ...fields,
});

export function signedBoot(report: BootReport, key: KeyObject): NonNullable<StateReport['bootReport']> {
  const payload = Buffer.from(JSON.stringify(report));
  const spki = createPublicKey(key.export({ type: 'pkcs8', format: 'pem' })).export({ type: 'spki', format: 'der' });
  const sig = sign(key.asymmetricKeyType === 'ec' ? 'sha256' : null, preAuthentication(BOOT_TYPE, payload), key);
  return {
    payload: payload.toString('base64'),
    payloadType: BOOT_TYPE,
    signatures: [{ keyid: createHash('sha256').update(spki).digest('hex'), sig: sig.toString('base64') }],
  };
}
