/**
 * Puts a gate before and after every call of a port. The gate decides what happens there: nothing, a wait, an error, a death.
 */
export interface Gate {
  /** `call`: "catalog.runs.replace". What it throws is thrown instead of making the call. */
  before(call: string): Promise<void>;
  /** After the call has had its effect, and before its caller hears of it. */
  after(call: string): Promise<void>;
}

/** Every function of `target` that gives a promise or an async iterable, and of the objects in it, goes through the gate. */
export function gated<T extends object>(name: string, target: T, gate: Gate): T {
  return new Proxy(target, {
    get(object, key) {
      const value: unknown = Reflect.get(object, key, object);
      const call = `${name}.${String(key)}`;
      if (typeof value === "function")
        return gatedCall(call, value.bind(object) as (...args: unknown[]) => unknown, gate);
      return typeof value === "object" && value !== null && typeof key === "string" ? gated(call, value, gate) : value;
    },
  });
}

function gatedCall(call: string, original: (...args: unknown[]) => unknown, gate: Gate) {
  return (...args: unknown[]): unknown => {
    // Whether it is asynchronous shows only in what it gives; the names of the few that are not are known.
    if (synchronous.has(call)) return original(...args);
    if (iterating.has(call)) return iterate(call, () => original(...args) as AsyncIterable<unknown>, gate);
    return (async () => {
      await gate.before(call);
      const result: unknown = await original(...args);
      await gate.after(call);
      return result;
    })();
  };
}

async function* iterate(call: string, original: () => AsyncIterable<unknown>, gate: Gate): AsyncGenerator {
  await gate.before(call);
  yield* original();
  await gate.after(call);
}

const synchronous = new Set(["source.accountOf", "target.locate"]);
const iterating = new Set([
  "directory.list",
  "source.allocatedRanges",
  "source.changedRanges",
  "store.list",
  "store.listFolders",
]);
