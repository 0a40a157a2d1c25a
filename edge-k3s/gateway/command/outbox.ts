// Brings commands to the local broker, one after the other: a device takes none whose number is lower than that of the last one. A command waits until the event that made
// it is on disk: sent before, one whose event a crash undoes would be made again with another number, and done twice. What cannot go out waits until its time is over.
import { type CommandSigner, commandProblem, commandTopic } from '../../../operator/api/command.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { GatewayCode } from '../errors.ts';
import type { Outgoing } from '../mqtt/link.ts';
import type { Order } from '../rules/rules.ts';
import type { Devices } from '../site/devices.ts';

export type OutboxOptions = {
  /** Of the certificate with which the gateway is connected now. */
  signer(): CommandSigner | { problem: string };
  /** The broker's code; undefined when nothing came back. */
  publish(message: Outgoing): Promise<number | undefined>;
  devices: Devices;
  clock: Clock;
  log: Log;
  /** `sent`, or why not. */
  ended(result: 'sent' | GatewayCode): void;
};

export type Outbox = {
  order(one: Order): void;
  /** Those since the last call are of an event that `certain` says is on disk; when that fails they are not sent. */
  written(certain: Promise<void>): void;
  /** Those that have not ended: a snapshot takes the place of the events that would make them again. */
  open(): Iterable<Order>;
  readonly waiting: number;
  /** Nothing more goes to this device, nor is kept of it. */
  forget(device: string): void;
  /** What waits is given up. */
  stop(): Promise<void>;
};

const RETRY_MS = 1_000;
/** More wait only where the broker is gone and rules go on; the oldest are the nearest to their end. */
const MOST_WAITING = 1_000;
const NOT_AUTHORIZED = 0x87;
const TOPIC_INVALID = 0x90;

export function createOutbox(o: OutboxOptions): Outbox {
  /** In the order in which they were made. */
  const open = new Set<Order>();
  let held: Order[] = [];
  const waiting: Order[] = [];
  const stopped = new AbortController();
  let lane: Promise<void> | undefined;

  async function work(): Promise<void> {
    for (let order = waiting[0]; order !== undefined && !stopped.signal.aborted; order = waiting[0]) {
      const result = open.has(order) ? await attempt(order) : 'gone';
      if (result === 'again') await o.clock.sleep(RETRY_MS, stopped.signal).catch(() => undefined);
      else {
        // It may have given way to newer ones meanwhile.
        if (waiting[0] === order) waiting.shift();
        if (result !== 'gone') end(order, result);
      }
    }
    lane = undefined;
  }

  function end(order: Order, result: 'sent' | GatewayCode): void {
    if (!open.delete(order)) return;
    const { rule, device, name } = order;
    o.ended(result);
    if (result === 'sent') o.log.info({ rule, device, command: name }, 'a command was sent');
    else o.log.warn({ rule, device, command: name, code: result }, 'a command was not sent');
  }

  async function attempt(order: Order): Promise<'sent' | 'again' | GatewayCode> {
    const { rule: _, segment, device, ...rest } = order;
    const now = o.clock.now();
    if (now >= order.exp) return 'HR-GW-703';
    // At a start nobody is known yet.
    if (!o.devices.isSynced()) return 'again';
    const known = o.devices.get(device);
    if (known?.segment !== segment || known.lifecycle !== 'Active') return 'HR-GW-704';
    const signer = o.signer();
    if ('problem' in signer) return 'HR-GW-701';
    const command = { v: 1 as const, aud: device, ...rest };
    if (commandProblem(command) !== undefined) return 'HR-GW-705';
    const expirySeconds = Math.ceil((order.exp - now) / 1000);
    const code = await o.publish({ topic: commandTopic(segment, command), payload: signer.sign(command), expirySeconds });
    if (code === undefined) return 'again';
    if (code === NOT_AUTHORIZED || code === TOPIC_INVALID) return 'HR-GW-702';
    return code < 0x80 ? 'sent' : 'again';
  }

  function send(order: Order): void {
    if (stopped.signal.aborted) return;
    waiting.push(order);
    if (waiting.length > MOST_WAITING) {
      const oldest = waiting.shift();
      if (oldest !== undefined) end(oldest, 'HR-GW-703');
    }
    lane ??= work();
  }

  return {
    order(one) {
      open.add(one);
      held.push(one);
    },
    written(certain) {
      // Nearly every event makes none.
      if (held.length === 0) return;
      const mine = held;
      held = [];
      certain.then(
        () => {
          for (const one of mine) send(one);
        },
        // Whoever wrote it ends the process.
        () => undefined,
      );
    },
    open: () => open,
    get waiting() {
      return open.size;
    },
    forget(device) {
      for (const one of [...open]) if (one.device === device) open.delete(one);
    },
    async stop() {
      stopped.abort();
      waiting.length = 0;
      await lane;
    },
  };
}
