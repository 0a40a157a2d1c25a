import { connectWith } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { patiently } from '../patience.ts';
import { must, type Scene } from './scene.ts';

export const forgotten: Scene = {
  proof: 'a revoked device stays out without its manifests',
  attempt: () => `Somebody tidies up: the Device ${ATTACKER} and the Intervention that revoked it are deleted.`,
  async play(stage, check) {
    const { fleet, watch, address, namespace, system, kubectl } = stage;
    const { device, certificate } = fleet.attacker();
    must(await kubectl(['delete', `device/${ATTACKER}`, `intervention/revoke-${ATTACKER}`, '-n', namespace]));
    await patiently(`Device ${ATTACKER} to be gone`, () => watch.get(ATTACKER) === undefined || undefined);
    // The ban of the name goes with the Device, the ban of the certificate stays until that expires: both steps are the operator's.
    const kept = await patiently('the broker to show what is left', async () => {
      const { body } = await system.standIn().request('GET', '/banned?limit=1000');
      const bans = (body as { data: { as: string; by: string; until: string }[] }).data.filter(
        ({ by }) => by === `hedgerow/${device.name}`,
      );
      return bans.every(({ as }) => as === 'username') ? bans : undefined;
    });
    check(
      'the ledger keeps its certificate banned',
      kept.length === 1,
      `${kept.length} ban by certificate, until ${kept[0]?.until ?? 'never'}`,
    );
    const again = await connectWith(address, device.key, certificate());
    check('it connects with the old key and certificate', again.refused, again.how);
    return again.how;
  },
};
