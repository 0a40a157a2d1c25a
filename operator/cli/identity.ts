// `kubectl hedgerow identity`: the certificate of one device, and whether the ledger knows it.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import type { Device } from '../api/device.ts';
import { CERTIFICATE_LEDGERS, DEVICES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden } from '../kube/errors.ts';
import type { ObjectRef } from '../kube/object.ts';
import { systemClock } from '../runtime/clock.ts';
import { withCluster } from './cluster.ts';
import type { Command } from './command.ts';
import { deletedIdentity, deletedText } from './deleted-identity.ts';
import { identityOf, identityText } from './device-identity.ts';
import { CliError } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, LEDGER_NAMESPACE, OUTPUT_FLAG, required, TEXT, text, wantsJson } from './flags.ts';
import { type LedgerLine, linesOf } from './ledger.ts';

export const identity: Command = {
  words: ['identity'],
  operand: 'DEVICE',
  summary: 'the certificate of a device: serial, fingerprint, validity, renewal, issuer, segment, ledger',
  help: `usage: kubectl hedgerow identity DEVICE [FLAG…]

Prints what the newest certificate of the device says, whether its segment is the manifest's, and what the ledger holds of the device.
Of a Device that was deleted: what the ledger remembers, that is which of its certificates are revoked and until when they stay banned.

  --output, -o json            the same for scripts
  --ledger-namespace NS        the operator's namespace, where its ledger is (default: ${LEDGER_NAMESPACE})
${CLUSTER_HELP}
Your own rights are used: get on devices; with list on certificateledgers in the operator's namespace also the ledger.
`,
  flags: { ...OUTPUT_FLAG, 'ledger-namespace': TEXT, ...CLUSTER_FLAGS },
  async run(values, { out }) {
    const json = wantsJson(values);
    return withCluster(values, async (client, namespace) => {
      const place = { name: required(values, 'DEVICE'), namespace };
      const [device, ledger] = await Promise.all([
        client.get<Device>(DEVICES, place),
        readableLedger(client, text(values, 'ledger-namespace') ?? LEDGER_NAMESPACE),
      ]);
      if (device === undefined) {
        const gone = deletedIdentity(place, ledger);
        if (gone === undefined) throw new CliError('HR-CLI-005', `${namespace}/${place.name}`);
        out(json ? `${JSON.stringify(gone, undefined, 2)}\n` : deletedText(gone, systemClock.now()));
        return 0;
      }
      const found = identityOf(device, ledger);
      out(json ? `${JSON.stringify({ ...found, ledger: found.ledger ?? null }, undefined, 2)}\n` : identityText(found, systemClock.now()));
      return 0;
    });
  },
};

export async function existingDevice(client: Pick<KubeClient, 'get'>, place: ObjectRef): Promise<Device> {
  const device = await client.get<Device>(DEVICES, place);
  if (device === undefined) throw new CliError('HR-CLI-005', `${place.namespace}/${place.name}`);
  return device;
}

/** Undefined where the person may not read it. */
export async function readableLedger(client: Pick<KubeClient, 'list'>, namespace: string): Promise<LedgerLine[] | undefined> {
  try {
    return linesOf(await client.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace }));
  } catch (error) {
    if (isForbidden(error)) return undefined;
    throw error;
  }
}
