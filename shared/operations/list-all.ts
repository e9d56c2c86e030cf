import type { Collection, Stored } from "../ports/catalog.ts";

const pageSize = 500;

/** Every row of a collection with these columns, page by page. */
export async function* listAll<Key, T, Where>(
  collection: Collection<Key, T, Where>,
  where: Partial<Where>,
  signal: AbortSignal,
): AsyncGenerator<Stored<T>, void, undefined> {
  let continuation: string | undefined;
  do {
    const options = { where, limit: pageSize, ...(continuation === undefined ? {} : { continuation }) };
    const page = await collection.list(options, signal);
    yield* page.items;
    ({ continuation } = page);
  } while (continuation !== undefined);
}
