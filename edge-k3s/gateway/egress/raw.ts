// Messages as devices sent them, for as long as the policy of their segment says Raw. What is to leave is in the event, so that a gateway that starts again says it
// again, under the same key.
import type { Station } from '../core/core.ts';
import type { Output } from '../core/output.ts';

export function createRaw(out: (output: Output) => void): Station {
  return {
    name: 'raw',
    message({ raw, ...event }) {
      if (raw === undefined) return;
      const { device, segment, stream, boot, seq, atMs } = event;
      const body = { type: 'Raw', stream, boot, seq, m: raw } as const;
      out({ segment, device, id: `${stream}/${boot}/${seq}`, subject: stream, rev: 0, fromMs: atMs, toMs: atMs, body });
    },
    tick: () => undefined,
    configure: () => undefined,
    snapshot: () => [],
    restore: () => undefined,
    forget: () => undefined,
  };
}

/** As JSON has it: bytes of CBOR become base64. */
export function jsonOf(m: unknown): unknown {
  if (m instanceof Uint8Array) return Buffer.from(m).toString('base64');
  if (Array.isArray(m)) return m.map(jsonOf);
  if (typeof m !== 'object' || m === null) return m;
  return Object.fromEntries(Object.entries(m).map(([name, value]) => [name, jsonOf(value)]));
}
