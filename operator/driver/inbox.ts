// What has come and was not looked at yet: of each device its newest message of each kind, so that one that sends without end fills nothing and is before nobody.
import type { Message } from './ports.ts';

const TOPIC = /^ota\/v1\/d\/([^/]{1,80})\/(state|hello|directive)$/;

export function createInbox() {
  const byDevice = new Map<string, Map<string, Message>>();
  return {
    /** True where it is one to be looked at. */
    put(message: Message): boolean {
      const [, device, kind] = TOPIC.exec(message.topic) ?? [];
      if (device === undefined || kind === undefined) return false;
      const kinds = byDevice.get(device) ?? new Map<string, Message>();
      byDevice.set(device, kinds);
      // Behind what came before it: the order of what one device says is kept.
      kinds.delete(kind);
      kinds.set(kind, message);
      return true;
    },
    /** About so many, devices in turns. */
    take(most: number): Message[] {
      const taken: Message[] = [];
      for (const [device, kinds] of byDevice) {
        if (taken.length >= most) break;
        taken.push(...kinds.values());
        byDevice.delete(device);
      }
      return taken;
    },
    isEmpty: (): boolean => byDevice.size === 0,
  };
}
