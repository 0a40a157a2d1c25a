import { pause } from '../../harness/wait.ts';
import { eavesdrop } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { count } from '../text.ts';
import { connected, type Scene } from './scene.ts';
import { VICTIM } from './stranger.ts';

const LISTEN_MS = 1_500;

export const eavesdropper: Scene = {
  proof: "an eavesdropper's # is refused, nothing is heard",
  attempt: ({ namespace }) =>
    `${ATTACKER} subscribes to #, to all telemetry of its own segment, to ${VICTIM}'s commands and to the aggregates of ${namespace}, and listens.`,
  async play({ fleet, namespace }, check) {
    const { device, segment } = fleet.attacker();
    await connected(fleet.attacker());
    device.received.length = 0;
    const before = told(fleet.talkers);
    const filters = ['#', `dt/${segment}.${namespace}/#`, `cmd/${segment}.${namespace}/${VICTIM}.${namespace}/#`, `agg/${namespace}/#`];
    for (const filter of filters) {
      const { refused, how } = await eavesdrop(device, filter);
      check(filter, refused, how);
    }
    // Whoever has a right to what it hears must hear it: its own commands.
    const own = await device.trySubscribe(`cmd/${segment}.${namespace}/${device.name}/#`);
    check('its own commands, which it may hear', own.given === 'accepted', own.how);
    await pause(LISTEN_MS);
    const others = told(fleet.talkers) - before;
    check(
      'what it heard',
      device.received.length === 0 && others > 0,
      `${count(device.received.length, 'message')}, while the fleet published ${others}`,
    );
    return `SUBACK 0x87; 0 of ${count(others, 'message')} heard`;
  },
};

const told = (talkers: readonly { tally: { accepted: number } }[]): number => talkers.reduce((sum, { tally }) => sum + tally.accepted, 0);
