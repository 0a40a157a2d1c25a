// The part of a device's firmware that does what it is told. It keeps the last command of each sender before it does anything: whatever happens then, it is done
// once or not at all, never twice.
import type { Flash } from '../firmware/flash.ts';
import { openNvm } from '../firmware/nvm.ts';
import { type Command, type Facts, type Floor, type Judged, judge, rememberedChains } from './judge.ts';

export type Commanded = { receive(topic: string, bytes: Uint8Array): Judged };
export type CommandedOptions = Omit<Facts, 'floors' | 'now'> & {
  flash: Flash;
  now(): number | undefined;
  execute(command: Command, sender: string): void;
};

/** After each start of the device. */
export function powerOn({ flash, now, execute, ...facts }: CommandedOptions): Commanded {
  const kept = openNvm<Record<string, Floor>>(flash, 'commands', {});
  const chains = rememberedChains();
  return {
    receive(topic, bytes) {
      const judged = judge(topic, bytes, { ...facts, now: now(), floors: kept.value }, chains);
      if (judged.verdict === 'refused') return judged;
      const { command, sender, floor } = judged;
      // Nothing is written for what is delivered twice, unless it came with the next certificate.
      if (kept.value[sender]?.seq !== floor.seq || kept.value[sender].epoch !== floor.epoch) kept.save({ ...kept.value, [sender]: floor });
      if (judged.verdict === 'new') execute(command, sender);
      return judged;
    },
  };
}
