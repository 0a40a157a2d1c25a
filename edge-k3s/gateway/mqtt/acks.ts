// Which messages may be acknowledged: those that are dealt with, in the order in which they came (MQTT 5 §4.6), as many as there are in one go.

/** What came; `isDone` is set by whoever has dealt with it. */
export type Owed = { readonly packetId: number; isDone: boolean };

export type Acks = {
  came(one: Owed): void;
  /** PUBACK packets of those at the front that are done; undefined when there are none. */
  take(): Buffer | undefined;
  readonly waiting: number;
};

const PUBACK = 0x40;
/** Reason code 0 and no properties: both may be left out (§3.4.2.1). */
const PUBACK_BYTES = 4;
/** So many that went are kept in the list before it is made shorter. */
const SLACK = 1_024;

export function createAcks(): Acks {
  let order: Owed[] = [];
  let front = 0;
  return {
    came: (one) => void order.push(one),
    take() {
      let end = front;
      while (order[end]?.isDone === true) end += 1;
      if (end === front) return undefined;
      const bytes = Buffer.allocUnsafe((end - front) * PUBACK_BYTES);
      for (let at = 0; front < end; front++, at += PUBACK_BYTES) {
        bytes[at] = PUBACK;
        bytes[at + 1] = 2;
        bytes.writeUInt16BE(order[front]?.packetId ?? 0, at + 2);
      }
      if (front > SLACK && front * 2 > order.length) {
        order = order.slice(front);
        front = 0;
      }
      return bytes;
    },
    get waiting() {
      return order.length - front;
    },
  };
}
