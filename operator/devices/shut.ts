// Devices whose pods get nothing of their segment in the network: whoever is not Active. Pure over what the caches hold.
import { type Key, keyOfRef } from '../kube/object.ts';
import type { Lifecycle } from './summary.ts';

type Shuttable = { name: string; namespace: string; lifecycle: Lifecycle };
type Caches = {
  store: { get(key: Key): Shuttable | undefined; by(index: 'shut', namespace: string): Shuttable[] };
  interventions: {
    effective(namespace: string, device: string, spec: Lifecycle): { lifecycle: Lifecycle };
    devicesIn(namespace: string): string[];
  };
};

/** Names in one order. Throws before the Interventions were read: an empty answer would open what is shut. */
export function shutIn(namespace: string, store: Caches['store'], interventions: Caches['interventions']): string[] {
  const inManifest = store.by('shut', namespace).map(({ name }) => name);
  return [...new Set([...inManifest, ...interventions.devicesIn(namespace)])].sort().filter((name) => {
    const device = store.get(keyOfRef({ namespace, name }));
    return device !== undefined && interventions.effective(namespace, name, device.lifecycle).lifecycle !== 'Active';
  });
}
