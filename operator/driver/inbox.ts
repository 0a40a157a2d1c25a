// What has come and was not looked at yet: of each device its newest messages, so that one that sends without end fills nothing and is before nobody.
import type { Message } from './ports.ts';

const TOPIC = /^ota\/v1\/d\/([^/]{1,80})\/(state|hello|directive)$/;

/** One that says something old or nothing behind each state, in one breath, is heard all the same. */
const MOST_OF_A_DEVICE = 16;

export function createInbox() {
  const byDevice = new Map<string, Message[]>();
  return {
    /** True where it is one to be looked at. */
    put(message: Message): boolean {
      const [, device] = TOPIC.exec(message.topic) ?? [];
      // Nothing in it: a retained message is taken away.
      if (device === undefined || message.bytes.length === 0) return false;
      const waiting = byDevice.get(device) ?? [];
      byDevice.set(device, waiting);
      waiting.push(message);
      if (waiting.length > MOST_OF_A_DEVICE) waiting.shift();
      return true;
    },
    /** About so many, devices in turns; the order of what one device says is kept. */
    take(most: number): Message[] {
      const taken: Message[] = [];
      for (const [device, waiting] of byDevice) {
        if (taken.length >= most) break;
        taken.push(...waiting);
        byDevice.delete(device);
      }
      return taken;
    },
    isEmpty: (): boolean => byDevice.size === 0,
  };
}
