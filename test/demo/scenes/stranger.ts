import type { IClientOptions } from 'mqtt';
import { connectWith, connectWithoutCertificate, forge } from '../../simulator/hostile.ts';
import { genuineDevicesTalk, type Scene } from './scene.ts';

export const VICTIM = 'thermo-17';

/** The library hands it on to node:tls, though its types do not say so. */
const TLS_1_2 = { maxVersion: 'TLSv1.2' } as IClientOptions;

export const stranger: Scene = {
  proof: 'a spoofed device without a certificate is refused',
  attempt: () =>
    `Somebody in the network connects as ${VICTIM}: without a certificate, then with one in ${VICTIM}'s name that he signed himself, then by TLS 1.2.`,
  async play({ address, fleet }, check) {
    const victim = fleet.talker(VICTIM);
    const naked = await connectWithoutCertificate(address);
    check('without a certificate', naked.refused, naked.how);
    const { certificatePem, privateKeyPem } = await forge(victim.device.who);
    const forged = await connectWith(address, { privateKeyPem }, certificatePem);
    check('with a certificate that he made himself', forged.refused, forged.how);
    const old = await connectWith(address, victim.device.key, victim.certificate(), TLS_1_2);
    check('by TLS 1.2, even with the genuine key and certificate', old.refused, old.how);
    await genuineDevicesTalk([victim], check);
    return naked.how;
  },
};
