// The pods of the policy test and the rules that hold for them at the moment.
import { target } from './calls.ts';
import type { Lab } from './lab.ts';
import { CENTRE_IP } from './layout.ts';
import type { PolicyText } from './oracle.ts';
import type { Address, Outside } from './places.ts';
import { opensNothing, reachIsExactly } from './reach.ts';

/** What the steps about policies and about the operator's fate look at. */
export type Fleet = {
  addresses: Address[];
  rules: { policies: PolicyText[]; gone: PolicyText[]; sites: Set<string> };
  outside(): Outside;
  /** The pods reach exactly what is granted, and the verifier knows it; with figures, as text. */
  isExact(): Promise<string>;
  /** Nothing is open that is not granted while `work` runs, and at its end. */
  opensNothing(work: () => Promise<unknown>): Promise<string>;
};

export function createFleet(lab: Lab): Fleet {
  const fleet: Fleet = {
    addresses: [],
    rules: { policies: [], gone: [], sites: new Set() },
    outside: () => ({
      broker: target('TCP', CENTRE_IP, lab.broker().mqttPort),
      other: target('TCP', CENTRE_IP, Number(new URL(lab.cluster().server).port)),
    }),
    isExact: async () => {
      const { open, all } = await reachIsExactly(lab.cluster(), fleet.addresses, fleet.outside(), fleet.rules);
      return `${open} connections of ${all} open, the rest shut: so say the segments' text, the verifier and the packets`;
    },
    opensNothing: (work) => opensNothing(fleet.addresses, fleet.outside(), fleet.rules, work),
  };
  return fleet;
}
