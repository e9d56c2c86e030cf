import type { Collection } from "../../ports/catalog.ts";

export interface PageInput {
  readonly limit: number;
  readonly continuation?: string | undefined;
}

export interface PageOf<T> {
  readonly items: readonly T[];
  readonly continuation?: string;
}

/**
 * One page of a collection. The service may answer a page that is empty and yet not the last; a caller never sees one,
 * so that "no items" always means the end.
 */
export async function listPage<Key, T, Where>(
  collection: Collection<Key, T, Where>,
  where: Partial<Where>,
  input: PageInput,
  signal: AbortSignal,
): Promise<PageOf<T>> {
  let continuation = input.continuation;
  for (;;) {
    const page = await collection.list(
      { where, limit: input.limit, ...(continuation === undefined ? {} : { continuation }) },
      signal,
    );
    continuation = page.continuation;
    if (page.items.length > 0 || continuation === undefined) {
      const items = page.items.map((stored) => stored.value);
      return continuation === undefined ? { items } : { items, continuation };
    }
  }
}
