/**
 * Works on the items of a source, `parallelism` at once, and gives the results in the order of the items. At most `parallelism`
 * results are at work, waiting or in the taker's hand, so that memory is bounded however slow the taker is. The signal given to `work` is aborted where
 * the taker leaves early, or where something fails; nothing is left running when the generator has ended.
 */
export async function* mapOrdered<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  parallelism: number,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<R, void, undefined> {
  const leaving = new AbortController();
  const either = AbortSignal.any([signal, leaving.signal]);
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const pending: Promise<R>[] = [];
  let exhausted = false;
  try {
    for (;;) {
      while (!exhausted && pending.length < parallelism) {
        signal.throwIfAborted();
        const next = await items.next();
        if (next.done === true) {
          exhausted = true;
          break;
        }
        const result = work(next.value, either);
        // Its failure is thrown when its turn comes; until then it must not count as unhandled.
        result.catch(() => undefined);
        pending.push(result);
      }
      const first = pending.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    leaving.abort();
    await Promise.allSettled(pending);
    if (!exhausted) await items.return?.();
  }
}
