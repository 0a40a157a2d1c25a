// Directives as the devices of the fleet read them: one in so many is judged in full by the reference device's code, the others are read for what they say.
import { X509Certificate } from 'node:crypto';
import { judge } from '../../simulator/firmware/directive.ts';
import { directiveOf } from '../../simulator/firmware/form.ts';
import type { Ground } from './device.ts';

export function readerOf(cas: readonly X509Certificate[], verifies: number): Ground['read'] {
  const epochs = new Map<string, number>();
  let reads = 0;
  return (device, bytes) => {
    reads += 1;
    if (reads % verifies === 0) {
      // The order of directives, and the echo, are judged by the machine itself.
      const judged = judge(bytes, { device: device.name, cas, now: undefined, nonce: '', floors: {} });
      if (judged.verdict === 'dropped' && judged.why !== 'echo') return undefined;
    }
    const { payload, signatures } = JSON.parse(Buffer.from(bytes).toString()) as { payload: string; signatures: { x5c: string[] }[] };
    const directive = directiveOf(JSON.parse(Buffer.from(payload, 'base64').toString()));
    const leaf = signatures[0]?.x5c[0] ?? '';
    const epoch = epochs.get(leaf) ?? Math.floor(new X509Certificate(Buffer.from(leaf, 'base64')).validFromDate.getTime() / 1000);
    epochs.set(leaf, epoch);
    return directive === undefined || directive.aud !== device.name ? undefined : { directive, epoch };
  };
}
