/**
 * Bounds what is held in memory at once: work takes as many places as it holds chunks, in the order it came, and waits while there
 * are not enough. Work that wants more than there are takes all.
 */
export interface Places {
  take<T>(places: number, work: () => Promise<T>): Promise<T>;
}

export function createPlaces(total: number): Places {
  let free = total;
  const waiting: { readonly places: number; readonly start: () => void }[] = [];
  const next = (): void => {
    for (let first = waiting[0]; first !== undefined && first.places <= free; first = waiting[0]) {
      waiting.shift();
      free -= first.places;
      first.start();
    }
  };
  return {
    async take(wanted, work) {
      const places = Math.min(wanted, total);
      await new Promise<void>((start) => {
        waiting.push({ places, start });
        next();
      });
      try {
        return await work();
      } finally {
        free += places;
        next();
      }
    },
  };
}
