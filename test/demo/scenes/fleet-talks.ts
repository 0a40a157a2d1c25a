import { patiently } from '../patience.ts';
import { count, duration } from '../text.ts';
import type { Scene } from './scene.ts';

/** Three manifests make a fleet that talks. */
export const fleetTalks: Scene = {
  proof: 'manifests make a fleet that talks by mutual TLS',
  attempt: ({ fleet }) =>
    `${count(fleet.talkers.length, 'device')} wait for certificates, connect with them and publish what their segments may.`,
  async play({ fleet, watch, system, namespace, appliedAt }, check) {
    for (const { name } of fleet.talkers) await watch.until(name, 'Ready', 'True');
    const readyMs = performance.now() - appliedAt;
    check('Devices are Ready', true, `${fleet.talkers.length} of ${fleet.talkers.length}, ${duration(readyMs)} after kubectl apply`);

    await patiently('every device to have a reading accepted', () => fleet.talkers.every(({ tally }) => tally.accepted > 0) || undefined, {
      describe: () =>
        fleet.talkers
          .filter(({ tally }) => tally.accepted === 0)
          .map(({ name, last }) => `${name}: ${last()}`)
          .join('; '),
    });
    const clients = await system.standIn().clients();
    const expected = fleet.talkers.map(({ device }) => device.name).sort();
    // What begins with a dash are clients of the operator: no device has such a name.
    const seen = clients.flatMap(({ clientid }) => (clientid.startsWith('-') ? [] : [clientid])).sort();
    check(
      'the broker knows each by the name in its certificate',
      String(seen) === String(expected),
      `${seen.length} connected, named <device>.${namespace}`,
    );

    const secrets = await system.get<{ items: { metadata: { name: string }; data?: Record<string, string> }[] }>(
      'secrets',
      '-n',
      namespace,
    );
    const keys = secrets.items
      .filter(({ data }) => data?.['tls.key'] !== undefined)
      .map(({ metadata }) => metadata.name)
      .sort();
    const allowed = ['gateway-1-tls', 'hedgerow-devices-ca'];
    check(
      'no private key of a device is in the cluster, but the one its manifest asks for',
      String(keys) === String(allowed),
      `Secrets with a key: ${keys.join(', ')} (of the site's own CA)`,
    );
    return `${count(fleet.talkers.length, 'device')} Ready in ${duration(readyMs)}`;
  },
};
