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
    const repair = await watchRepair(stage, wipedAt);
    check(
      `the rights of the segments without the ban of ${ATTACKER}`,
      repair.unguarded === 0,
      `seen in ${repair.unguarded} of ${count(repair.looks, 'look')}; the ban was back ${duration(repair.banMs)} after the wipe, the rights ${duration(repair.rightsMs)}`,
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
      `${count(tries, 'try', 'tries')}, ${inside === 0 ? 'never let in' : `let in ${inside === 1 ? 'once' : `${inside} times`} before the ban was back, with no right at all`}; ${accepted} of its messages and subscriptions accepted`,
    );
    const again = await connectWith(address, fleet.attacker().device.key, fleet.attacker().certificate());
    check(`${ATTACKER} now`, again.refused, again.how);
    return `back in ${duration(backMs)}; ${accepted} of ${count(tries, 'try', 'tries')} got a right`;
  },
};

type Repair = { looks: number; unguarded: number; banMs: number; rightsMs: number };

/** Looks at rights and bans until both are back. In each look the rights are read first: rights that are there while the ban, read later, is not, came too early. */
async function watchRepair({ system, fleet }: Stage, since: number): Promise<Repair> {
  const by = `hedgerow/${fleet.attacker().device.name}`;
  const repair: Repair = { looks: 0, unguarded: 0, banMs: 0, rightsMs: 0 };
  await waitFor(
    'the broker to be repaired',
    async () => {
      const { body: file } = await system.standIn().request('GET', '/authorization/sources/file');
      const rights = (file as { rules: string }).rules.includes('{allow');
      const { body } = await system.standIn().request('GET', '/banned?limit=1000');
      const ban = (body as { data: { by: string }[] }).data.some((one) => one.by === by);
      repair.looks += 1;
      if (rights && !ban) repair.unguarded += 1;
      if (ban) repair.banMs ||= performance.now() - since;
      if (rights) repair.rightsMs ||= performance.now() - since;
      return rights && ban ? true : undefined;
    },
    { everyMs: 5, describe: () => `ban ${repair.banMs > 0 ? 'seen' : 'missing'}, rights ${repair.rightsMs > 0 ? 'seen' : 'missing'}` },
  );
  return repair;
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
