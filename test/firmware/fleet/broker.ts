// A broker that is not there: retained messages, what is on its way, what it loses. Between a device and it, messages are lost, come late, twice or in another order as
// the nature of the device says; between it and a driver, nothing but by its end.
import type { VirtualDevice } from './device.ts';
import { between, type Random } from './random.ts';
import type { World } from './world.ts';

export type Kept = { bytes: Buffer; properties: Readonly<Record<string, string>>; expiresAt: number };
/** What a driver hears. `device`: the name in the topic. */
export type Ear = {
  state(device: string, bytes: Uint8Array): void;
  hello(device: string, bytes: Uint8Array): void;
  directive(device: string, kept: Kept): void;
  /** Everything that is retained has come. */
  gathered(): void;
  lost(): void;
};

type Place = { device: VirtualDevice; directive?: Kept; state?: string; isHere: boolean };

const LATENCY_MS = 40;
const RETRY_MS = 15_000;

export type VirtualBroker = ReturnType<typeof createBroker>;

export function createBroker(world: World, random: Random) {
  const places = new Map<string, Place>();
  const ears = new Set<Ear>();
  let isUp = true;
  let directives = 0;
  let remember: (name: string, kept: Kept) => unknown = () => {};

  function deliver(place: Place, { bytes, expiresAt }: Kept): void {
    world.after(LATENCY_MS, () => {
      if (place.isHere && expiresAt > world.now()) place.device.receive(bytes);
    });
  }

  function taken(place: Place, topic: 'hello' | 'state', payload: string): void {
    if (!isUp || !place.isHere) return;
    const { device } = place;
    const wire = device.nature.wire;
    if (wire === 'messages lost' && random() < 0.3) return;
    const bytes = Buffer.from(payload);
    if (topic === 'state') {
      if (payload === '') delete place.state;
      else place.state = payload;
    }
    for (const ear of ears) ear[topic](device.name, bytes);
    if (wire === 'acknowledgements lost' && random() < 0.5) return;
    world.after(LATENCY_MS, () => device.acknowledged(payload));
  }

  return {
    add: (device: VirtualDevice): void => void places.set(device.name, { device, isHere: false }),
    connect(device: VirtualDevice, take: () => boolean): void {
      const place = places.get(device.name);
      if (place === undefined) return;
      if (!isUp) return void world.after(between(random, 1000, RETRY_MS), () => this.connect(device, take));
      if (!take()) return;
      place.isHere = true;
      if (place.directive !== undefined) deliver(place, place.directive);
    },
    disconnect(device: VirtualDevice): void {
      const place = places.get(device.name);
      if (place !== undefined) place.isHere = false;
    },
    /** Of a device. */
    publish(device: VirtualDevice, topic: 'hello' | 'state', payload: string): void {
      const place = places.get(device.name);
      if (place === undefined) return;
      const { wire } = device.nature;
      const later = wire === 'slow' ? 4000 : LATENCY_MS;
      const comes = (ms: number): void => world.after(ms, () => taken(place, topic, payload));
      if (wire === 'out of order and twice') comes(between(random, 1, 9000));
      comes(wire === 'out of order and twice' ? between(random, 1, 9000) : later);
    },
    /** Of a driver, retained. False: it did not get there. */
    order(name: string, kept: Kept): boolean {
      const place = places.get(name);
      if (!isUp || place === undefined) return false;
      directives += 1;
      remember(name, kept);
      place.directive = kept;
      if (place.isHere) deliver(place, kept);
      for (const ear of ears) ear.directive(name, kept);
      return true;
    },
    listen(ear: Ear): void {
      if (!isUp) return void world.after(1000, () => this.listen(ear));
      ears.add(ear);
      for (const [name, { directive, state }] of places) {
        if (directive !== undefined && directive.expiresAt > world.now()) ear.directive(name, directive);
        if (state !== undefined) ear.state(name, Buffer.from(state));
      }
      ear.gathered();
    },
    leave: (ear: Ear): void => void ears.delete(ear),
    /** `forgets`: what it retained is gone as well. */
    restart(downMs: number, forgets: boolean): void {
      isUp = false;
      for (const place of places.values()) {
        if (forgets) {
          delete place.directive;
          delete place.state;
        }
        const { isHere, device } = place;
        place.isHere = false;
        if (isHere) device.disconnected();
      }
      const were = [...ears];
      ears.clear();
      for (const ear of were) ear.lost();
      world.after(downMs, () => {
        isUp = true;
      });
    },
    directives: () => directives,
    /** Whoever looks on. */
    remember(by: typeof remember): void {
      remember = by;
    },
    /** Of before, again, to a device that is there: whoever once saw a directive can send it. The retained place only a driver may fill. */
    replay(chance: Random, old: readonly { name: string; kept: Kept }[]): void {
      const { name = '', kept } = old[Math.floor(chance() * old.length)] ?? {};
      const place = places.get(name);
      if (place === undefined || kept === undefined) return;
      deliver(place, kept);
      for (const ear of ears) ear.directive(name, kept);
    },
  };
}
