// A driver in one process, as small as it can be: it publishes directives, hears what comes, and tries again what may be tried again. No clock: rounds take its place.
import type { KeyObject } from 'node:crypto';
import {
  hasEnded,
  hearHello,
  hearState,
  type OpenDirective,
  openOf,
  type Standing,
  standingOf,
} from '../../../../operator/firmware/accept.ts';
import { again } from '../../../../operator/firmware/directive.ts';
import type { Directive, Hello } from '../../../../operator/firmware/messages.ts';
import { FAULTS } from '../../../../operator/firmware/protocol.ts';
import { readHello, readState } from '../../../../operator/firmware/report.ts';
import type { commander, Image } from './site.ts';
import { NOW } from './site.ts';

export type Message = { topic: string; payload: string };
type Tracked = { hello?: Hello; directive?: Directive; open?: OpenDirective; standing?: Standing; tries: number; codes: string[] };

const MOST_TRIES = 4;

export function rollout(image: Image, command: ReturnType<typeof commander>, bootKeys: ReadonlyMap<string, KeyObject>) {
  const devices = new Map<string, Tracked>();
  const of = (device: string): Tracked => {
    const tracked = devices.get(device) ?? { tries: 0, codes: [] };
    devices.set(device, tracked);
    return tracked;
  };

  function hear(device: string, { topic, payload }: Message): void {
    const tracked = of(device);
    const read = topic === 'hello' ? readHello(device, Buffer.from(payload)) : readState(device, Buffer.from(payload));
    if (!read.ok) return void tracked.codes.push(read.problem.code);
    const { message } = read;
    if ('components' in message) tracked.hello = newer(tracked.hello, message);
    const { open, standing } = tracked;
    if (open === undefined || standing === undefined) return;
    const heard = 'components' in message ? hearHello(open, standing, message) : hearState(open, standing, message, bootKeys.get(device));
    tracked.standing = heard.standing;
    if (heard.verdict.result === 'Refused') tracked.codes.push(heard.verdict.problem.code);
  }

  /** The bytes that should be on the device's topic now; none when there is nothing more to ask of it. */
  function directive(device: string): Buffer | undefined {
    const tracked = of(device);
    const { hello, open, standing } = tracked;
    if (hello === undefined) return undefined;
    const isOver = open !== undefined && standing !== undefined && hasEnded(open, standing);
    if (isOver && (standing.state === 'Confirmed' || !mayTry(standing) || tracked.tries >= MOST_TRIES)) return undefined;
    if (open === undefined || isOver) {
      tracked.tries += 1;
      tracked.directive = command.make(device, 'Install', image, { echo: hello.nonce });
      tracked.open = openOf(tracked.directive, hello.boot);
      tracked.standing = standingOf(tracked.open);
    } else if (tracked.directive !== undefined) tracked.directive = again(tracked.directive, { now: NOW, fence: 1, echo: hello.nonce });
    return tracked.directive === undefined ? undefined : command.sign(tracked.directive);
  }

  /** Whether there is nothing more to ask of the device. */
  const isDone = (device: string): boolean => of(device).hello !== undefined && directive(device) === undefined;

  return { hear, directive, of, isDone };
}

const mayTry = ({ code }: Standing): boolean => FAULTS.find((one) => one.code === code)?.again ?? true;

const newer = (before: Hello | undefined, hello: Hello): Hello =>
  before === undefined || hello.boot > before.boot || (hello.boot === before.boot && hello.n > before.n) ? hello : before;
