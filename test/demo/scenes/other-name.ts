import { connectOptions, open } from '../../simulator/device.ts';
import { publishInTheNameOf } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { answered, genuineDevicesTalk, type Scene } from './scene.ts';
import { VICTIM } from './stranger.ts';

export const otherName: Scene = {
  proof: "a device cannot publish in another's name",
  attempt: () =>
    `${ATTACKER} is a genuine device in the wrong hands. It publishes as ${VICTIM}, then as the gateway, then connects under ${VICTIM}'s client id.`,
  async play({ system, address, fleet, namespace }, check) {
    const [attacker, victim] = [fleet.attacker(), fleet.talker(VICTIM)];
    const own = await answered(attacker, () => attacker.tellNow());
    check('its own readings are accepted, so it is connected and may publish', own.given === 'accepted', own.how);
    const forged = await publishInTheNameOf(attacker.device, victim.device);
    check(`on ${VICTIM}'s topic`, forged.refused, forged.how);
    const aggregate = await answered(attacker, (device) => device.tryPublish(`agg/${namespace}/climate`, '{}'));
    check("on the gateway's topic", aggregate.given === 'refused', aggregate.how);

    const before = (await system.standIn().clients()).find(({ clientid }) => clientid === victim.device.name);
    const options = { ...connectOptions(address, attacker.device.key, attacker.certificate()), clientId: victim.device.name };
    const connection = await open(options);
    const now = await system.standIn().clients();
    await connection.endAsync(true);
    const holder = now.find(({ clientid }) => clientid === victim.device.name);
    const same = holder !== undefined && holder.username === before?.username && victim.device.connected();
    const named = now.some(({ clientid }) => clientid === attacker.device.name);
    check(
      `CONNECT with client id ${victim.device.name}`,
      same && named,
      named
        ? `the broker calls it ${attacker.device.name}, after its certificate; ${VICTIM}'s session is untouched`
        : 'it took another name',
    );
    await genuineDevicesTalk([victim], check);
    return forged.how;
  },
};
