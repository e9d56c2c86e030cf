/** Stands where an operation is not built yet; gone once the last one is. */
export function notBuilt(...args: readonly unknown[]): Promise<never> {
  return Promise.reject(new Error(`not built yet (${args.length} arguments)`));
}
