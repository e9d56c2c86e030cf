import type { Collection } from "../../ports/catalog.ts";

/** Every item of a collection, page by page. For collections of a size that a person manages: policies, VMs. */
export async function listWhole<Key, T, Where>(
  collection: Collection<Key, T, Where>,
  where: Partial<Where>,
  signal: AbortSignal,
): Promise<readonly T[]> {
  const all: T[] = [];
  let continuation: string | undefined;
  do {
    const page = await collection.list(
      { where, limit: 1000, ...(continuation === undefined ? {} : { continuation }) },
      signal,
    );
    all.push(...page.items.map((stored) => stored.value));
    continuation = page.continuation;
  } while (continuation !== undefined);
  return all;
}
