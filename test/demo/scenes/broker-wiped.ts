import { connectWith } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { patiently } from '../patience.ts';
import type { Talker } from '../talker.ts';
import { count, duration } from '../text.ts';
import { type Burglary, startBurglary } from './burglar.ts';
import type { Checker, Scene, Stage } from './scene.ts';

export const brokerWiped: Scene = {
  proof: 'a broker that lost its memory is repaired, bans first',
  attempt: () => `The broker loses bans, rights and sessions, as EMQX may at a restart. ${ATTACKER} tries to slip in before they are back.`,
  async play(stage, check) {
    const burglary = startBurglary(stage);
    try {
      return await wipe(stage, check, burglary);
    } finally {
      await burglary.stop();
    }
  },
};

async function wipe(stage: Stage, check: Checker, burglary: Burglary): Promise<string> {
  const genuine = stage.fleet.talkers.filter(({ name }) => name !== ATTACKER);
  const serials = serialNumbers(stage, genuine);
  const before = genuine.map(({ tally }) => ({ ...tally }));

  const wipedAt = performance.now();
  await stage.system.standIn().restart({ wipe: true });
  const upAt = performance.now();
  const repair = await watchRepair(stage, wipedAt);
  check(
    `the rights of the segments without the ban of ${ATTACKER}`,
    repair.unguarded === 0,
    `seen in ${repair.unguarded} of ${count(repair.looks, 'look')}; the ban was back ${duration(repair.banMs)} after the wipe, the rights ${duration(repair.rightsMs)}`,
  );

  const silent = (): Talker[] =>
    genuine.filter(({ tally }, at) => tally.connections === before[at]?.connections || tally.accepted === before[at]?.accepted);
  await patiently('all genuine devices to talk again', () => silent().length === 0 || undefined, {
    describe: () =>
      silent()
        .map(({ name, last }) => `${name}: ${last()}`)
        .join('; '),
  });
  const backMs = performance.now() - upAt;
  const same = String(serialNumbers(stage, genuine)) === String(serials);
  check(
    'the fleet',
    same,
    `${genuine.length} of ${genuine.length} talk again ${duration(backMs)} after the broker was up, with ${same ? 'the same' : 'other'} certificates`,
  );

  const again = await patiently(`${ATTACKER} to be turned away`, async () => {
    const attempt = await revokedTries(stage);
    return attempt.refused ? attempt : undefined;
  });
  const { tries, inside, accepted } = await burglary.stop();
  const entered = inside === 0 ? 'never let in' : `let in ${inside === 1 ? 'once' : `${inside} times`} before the ban was back`;
  check(
    `${ATTACKER} meanwhile`,
    accepted === 0 && tries > 0,
    `${count(tries, 'try', 'tries')}, ${entered}; ${accepted} of its messages and subscriptions were accepted`,
  );
  check(`${ATTACKER} now`, again.refused, again.how);
  return `back in ${duration(backMs)}; ${accepted} of ${count(tries, 'try', 'tries')} got a right`;
}

function revokedTries({ address, fleet }: Stage): ReturnType<typeof connectWith> {
  const attacker = fleet.attacker();
  return connectWith(address, attacker.device.key, attacker.certificate());
}

function serialNumbers({ watch }: Stage, talkers: readonly Talker[]): (string | undefined)[] {
  return talkers.map(({ name }) => watch.get(name)?.serialNumber);
}

type Repair = { looks: number; unguarded: number; banMs: number; rightsMs: number };

/** Looks at rights and bans until both are back. In each look the rights are read first: rights that are there while the ban, read later, is not, came too early. */
async function watchRepair({ system, fleet }: Stage, since: number): Promise<Repair> {
  const by = `hedgerow/${fleet.attacker().device.name}`;
  const repair: Repair = { looks: 0, unguarded: 0, banMs: 0, rightsMs: 0 };
  await patiently(
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
