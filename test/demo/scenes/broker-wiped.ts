import { pause, waitFor } from '../../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../../simulator/device.ts';
import { connectWith, refusalOf } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { count, duration } from '../text.ts';
import type { Scene, Stage } from './scene.ts';

export const brokerWiped: Scene = {
  proof: 'a broker that lost its memory is repaired, bans first',
  attempt: () => `The broker loses bans, rights and sessions, as EMQX may at a restart. ${ATTACKER} tries to slip in before they are back.`,
  async play(stage, check) {
    const { fleet, watch, address } = stage;
    const genuine = fleet.talkers.filter(({ name }) => name !== ATTACKER);
    const serials = genuine.map(({ name }) => watch.get(name)?.serialNumber);
    const connections = genuine.map(({ tally }) => tally.connections);
    const told = genuine.map(({ tally }) => tally.accepted);

    const wipedAt = performance.now();
    const burglary = startBurglary(stage);
    await stage.system.standIn().restart({ wipe: true });
    const upAt = performance.now();
    const { banMs, rightsMs } = await watchRepair(stage, wipedAt);
    check(
      'order of repair',
      banMs <= rightsMs,
      `ban of ${ATTACKER} seen ${duration(banMs)} after the wipe, rights of the segments ${duration(rightsMs)}`,
    );
    await waitFor(
      'all genuine devices to talk again',
      () => genuine.every(({ tally }, at) => tally.connections > (connections[at] ?? 0) && tally.accepted > (told[at] ?? 0)) || undefined,
      {
        describe: () =>
          genuine
            .filter(({ tally }, at) => tally.accepted <= (told[at] ?? 0))
            .map(({ name, last }) => `${name}: ${last()}`)
            .join('; '),
      },
    );
    const backMs = performance.now() - upAt;
    const same = String(genuine.map(({ name }) => watch.get(name)?.serialNumber)) === String(serials);
    check(
      'the fleet',
      same,
      `${genuine.length} of ${genuine.length} talk again ${duration(backMs)} after the broker was up, ${same ? 'with the same certificates' : 'with new certificates'}`,
    );
    await waitFor(
      'the ban to hold',
      async () => (await connectWith(address, fleet.attacker().device.key, fleet.attacker().certificate())).refused || undefined,
    );
    const { tries, inside, accepted } = await burglary.stop();
    check(
      `${ATTACKER} meanwhile`,
      accepted === 0 && tries > 0,
      `${count(tries, 'try', 'tries')}, ${inside === 0 ? 'never let in' : `let in ${inside} times before the ban was back, with no right at all`}; ${accepted} of its messages and subscriptions accepted`,
    );
    const again = await connectWith(address, fleet.attacker().device.key, fleet.attacker().certificate());
    check(`${ATTACKER} now`, again.refused, again.how);
    return `fleet back in ${duration(backMs)}; ${accepted} of ${count(tries, 'burglary', 'burglaries')} got a right`;
  },
};

/** When the ban and the rights are first seen at the broker. Rights are looked at first, so that what is seen in one look cannot seem too early. */
async function watchRepair({ system, fleet }: Stage, since: number): Promise<{ banMs: number; rightsMs: number }> {
  const attacker = fleet.attacker().device.name;
  let rightsMs = Number.POSITIVE_INFINITY;
  let banMs = Number.POSITIVE_INFINITY;
  await waitFor(
    'the broker to be repaired',
    async () => {
      const { body: file } = await system.standIn().request('GET', '/authorization/sources/file');
      if (rightsMs === Number.POSITIVE_INFINITY && (file as { rules: string }).rules.includes('{allow'))
        rightsMs = performance.now() - since;
      const { body: bans } = await system.standIn().request('GET', '/banned?limit=1000');
      const banned = (bans as { data: { by: string }[] }).data.some(({ by }) => by === `hedgerow/${attacker}`);
      if (banMs === Number.POSITIVE_INFINITY && banned) banMs = performance.now() - since;
      return Number.isFinite(rightsMs) && Number.isFinite(banMs) ? true : undefined;
    },
    {
      everyMs: 10,
      describe: () => `ban ${Number.isFinite(banMs) ? 'seen' : 'missing'}, rights ${Number.isFinite(rightsMs) ? 'seen' : 'missing'}`,
    },
  );
  return { banMs, rightsMs };
}

type Loot = { tries: number; inside: number; accepted: number };

/** The revoked device's key and certificate, tried again and again, and whatever gets through is counted. */
function startBurglary({ fleet, address }: Stage): { stop(): Promise<Loot> } {
  const { device, certificate } = fleet.attacker();
  const pem = certificate();
  const loot: Loot = { tries: 0, inside: 0, accepted: 0 };
  let stopped = false;
  const running = (async () => {
    const burglar = await createDevice(device.who, 0, '', device.key);
    while (!stopped) {
      await attempt(burglar, loot);
      await pause(20);
    }
    await burglar.close();
  })();
  async function attempt(burglar: SimulatedDevice, count: Loot): Promise<void> {
    try {
      await burglar.connect(address, pem, { connectTimeout: 2_000 });
    } catch (error) {
      // A broker that is not there refuses nobody.
      if (refusalOf(error).refused) count.tries += 1;
      return;
    }
    count.tries += 1;
    count.inside += 1;
    const topic = `dt/${device.who.segment}.${device.who.namespace}/${device.name}/temperature`;
    const answers = await Promise.all([burglar.tryPublish(topic, '{}'), burglar.trySubscribe('#')]);
    count.accepted += answers.filter(({ given }) => given === 'accepted').length;
    await burglar.close();
  }
  return {
    async stop() {
      stopped = true;
      await running;
      return loot;
    },
  };
}
