// From the state into the spool, through the gate. What was put is kept until it is certain on disk: the journal of the state is not begun anew before.
import { createHash } from 'node:crypto';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Output } from '../core/output.ts';
import { type GatewayCode, Refused, refusedBy } from '../errors.ts';
import type { Entry } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import { admit, type Gate } from './gate.ts';

export type Outbox = {
  put(output: Output): void;
  /** Resolves when what was put so far is in the spool, or was turned away at the gate. What it gives is to be called when none of it can be put again. */
  settled(): Promise<() => void>;
  /** It can never leave: a record of loss says so. Resolves when that is in the spool. */
  lost(one: Pick<Entry, 'class' | 'key' | 'revision' | 'fromMs' | 'toMs'>): Promise<void>;
  /** Rejects with `Refused` when the spool takes nothing any more: memory is ahead of the disk then, and only a new start brings the two together. */
  readonly failed: Promise<never>;
};

export type OutboxOptions = {
  gate: Gate;
  spool: Pick<Spool, 'append' | 'turn' | 'stands'>;
  /** Of one that was given out before, since the journal is applied again: whether it is in the spool still. Undefined: of one that is new. */
  wasThere?(entry: Entry): boolean | undefined;
  clock: Pick<Clock, 'now' | 'setTimer'>;
  /** What became of one. */
  count(type: Output['body']['type'], result: GatewayCode | 'taken'): void;
};

/** A disk that is full, or too slow, is asked again. */
const AGAIN_MS = 1_000;
const AGAIN: readonly GatewayCode[] = ['HR-GW-101', 'HR-GW-104'];
/** Keys of records of loss: of the gateway, and of the spool itself. */
const LOSS = /^(dataloss|loss)\//;
/** Waiting for the disk; more would fill the memory. */
const MOST = 16_384;

export function createOutbox({ gate, spool, clock, count, wasThere = () => undefined }: OutboxOptions): Outbox {
  const open = new Set<Promise<void>>();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);

  async function append(entry: Entry, isAgain: boolean): Promise<GatewayCode | 'taken'> {
    for (;;) {
      const refused = await spool.append(entry, isAgain).then(() => undefined, refusedBy);
      if (refused === undefined) return 'taken';
      // It does not fit at all: waiting does not make it smaller.
      if (refused.code === 'HR-GW-103') return refused.code;
      if (!AGAIN.includes(refused.code)) throw refused;
      await new Promise<void>((resolve) => clock.setTimer(AGAIN_MS, resolve));
    }
  }

  /** Of a record of loss there is none: it would be as large. */
  async function lost({ class: of, key, revision, fromMs, toMs }: Parameters<Outbox['lost']>[0]): Promise<void> {
    if (LOSS.test(key)) return;
    const id = `unfit/${createHash('sha256').update(`${revision} ${key}`).digest('hex').slice(0, 32)}`;
    const body = { type: 'DataLoss', class: of, reason: 'bound', count: 1 } as const;
    const entry = admit({ segment: '', device: '', id, subject: 'unfit', rev: 0, fromMs, toMs, body }, gate, clock.now());
    if (typeof entry !== 'string') count('DataLoss', await append(entry, false));
  }

  return {
    lost,
    put(output) {
      const { type } = output.body;
      const entry = admit(output, gate, clock.now());
      if (typeof entry === 'string') {
        count(type, entry);
        return;
      }
      const was = wasThere(entry);
      if (was === true) {
        count(type, 'taken');
        return;
      }
      if (open.size >= MOST) failure.reject(new Refused('HR-GW-104'));
      const done = append(entry, was === false).then(async (result) => {
        if (result === 'HR-GW-103') await lost(entry);
        count(type, result);
      });
      open.add(done);
      done.then(
        () => open.delete(done),
        (error: unknown) => failure.reject(error),
      );
    },
    async settled() {
      const turn = spool.turn();
      await Promise.all(open);
      return () => spool.stands(turn);
    },
    failed: failure.promise,
  };
}
