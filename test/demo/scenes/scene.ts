// What a scene is: something that must not work (or must), tried for real, and what was seen.
import type { System } from '../../harness/system.ts';
import type { Answer } from '../../simulator/answer.ts';
import type { BrokerAddress, SimulatedDevice } from '../../simulator/device.ts';
import type { Fleet } from '../fleet.ts';
import { patiently } from '../patience.ts';
import type { RolloutStage } from '../rollout-stage.ts';
import type { Talker } from '../talker.ts';
import type { DeviceWatch } from '../watch.ts';

export type Stage = {
  /** The site: the sample's namespace. */
  namespace: string;
  /** Who applies: the administrator's user name, as `kubectl auth whoami` gives it. */
  user: string;
  system: System;
  address: BrokerAddress;
  fleet: Fleet;
  watch: DeviceWatch;
  rollout: RolloutStage;
  /** kubectl as the administrator; shows the command first. A refusal is an answer. */
  kubectl(args: string[], manifest?: { yaml: string; about: string }): Promise<Ran>;
  /** When the fleet was applied, `performance.now()`. */
  appliedAt: number;
};

/** `ms` is what the command itself took. */
export type Ran = { code: number; stdout: string; stderr: string; startedAt: number; ms: number };

/** Prints and keeps one thing that was seen. */
export type Checker = (claim: string, held: boolean, seen: string) => void;

export type Scene = {
  /** What holding proves, for the summary. */
  proof: string;
  /** What is attempted, in a sentence or two. */
  attempt: (stage: Stage) => string;
  /** Why it cannot be played here; undefined where it can. */
  unplayable?: (stage: Stage) => string | undefined;
  /** Resolves to the figure for the summary. */
  play(stage: Stage, check: Checker): Promise<string>;
};

/** A genuine device of the sample publishes at this moment: without it, a broker that refuses everybody would pass for a safe one. */
export async function genuineDevicesTalk(talkers: readonly Talker[], check: Checker): Promise<void> {
  const answers = await Promise.all(talkers.map((talker) => talker.tellNow()));
  const accepted = answers.filter(({ given }) => given === 'accepted').length;
  const names = talkers.map(({ name }) => name).join(', ');
  check(
    `meanwhile ${names} ${talkers.length === 1 ? 'goes' : 'go'} on`,
    accepted === talkers.length,
    `${accepted} of ${talkers.length} publishes accepted`,
  );
}

/** Tells readings until the broker accepts (or refuses) one; `ms` since `since`, and the broker's words. */
export async function untilTold(talker: Talker, given: 'accepted' | 'refused', since: number): Promise<{ ms: number; how: string }> {
  let seen = 'nothing yet';
  await patiently(
    `${talker.name} to be ${given}`,
    async () => {
      const answer = await talker.tellNow();
      seen = answer.how;
      return answer.given === given ? true : undefined;
    },
    { everyMs: 20, describe: () => `last answer: ${seen}` },
  );
  return { ms: performance.now() - since, how: seen };
}

/** Asks by this device until the broker answers: when its rights change, its connection may be cut in between, and that is no answer. */
export async function answered(talker: Talker, ask: (device: SimulatedDevice) => Promise<Answer>): Promise<Answer> {
  let seen = '';
  return patiently(
    `the broker to answer ${talker.name}`,
    async () => {
      const answer = await ask(talker.device);
      seen = answer.how;
      return answer.given === 'none' ? undefined : answer;
    },
    { everyMs: 50, describe: () => seen },
  );
}

/** Its loop connects again by itself. */
export async function connected(talker: Talker): Promise<void> {
  await patiently(`${talker.name} to be connected`, () => talker.device.connected() || undefined, {
    everyMs: 20,
    describe: () => talker.last(),
  });
}

export function intervention(
  stage: Stage,
  action: 'Revoke' | 'Quarantine',
  device: string,
  reason: string,
): { name: string; yaml: string; about: string } {
  const name = `${action.toLowerCase()}-${device}`;
  const yaml = `apiVersion: hedgerow.dev/v1alpha1
kind: Intervention
metadata: { name: ${name}, namespace: ${stage.namespace} }
spec:
  target: { kind: Device, name: ${device} }
  action: ${action}
  requestedBy: ${JSON.stringify(stage.user)}
  reason: ${JSON.stringify(reason)}
`;
  return { name, yaml, about: `Intervention: ${action} Device ${device}, "${reason}"` };
}

export function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(ran.stderr.trim());
  return ran;
}
