// So many at once in all, so many of one device: whoever asks for more waits or comes back later.

export interface Places {
  /** How to leave again (any number of times); undefined when all are taken, by everybody or by this one. */
  enter(who: string): (() => void) | undefined;
  readonly taken: number;
}

export function createPlaces({ most, mostEach }: { most: number; mostEach: number }): Places {
  const each = new Map<string, number>();
  let taken = 0;
  return {
    enter(who) {
      const mine = each.get(who) ?? 0;
      if (taken >= most || mine >= mostEach) return undefined;
      each.set(who, mine + 1);
      taken += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        taken -= 1;
        const now = (each.get(who) ?? 1) - 1;
        if (now === 0) each.delete(who);
        else each.set(who, now);
      };
    },
    get taken() {
      return taken;
    },
  };
}
