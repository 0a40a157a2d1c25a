// From the name on the wire to the key of its Device. Pure.
import { type Key, keyOfRef } from '../kube/object.ts';

/** `<device>.<namespace>` -> `<namespace>/<device>`; neither part can hold a dot. */
export function keyOfWireName(name: string): Key {
  const dot = name.indexOf('.');
  return keyOfRef({ namespace: name.slice(dot + 1), name: name.slice(0, dot) });
}
