import type { DirectoryEntry } from "../../ports/file-system.ts";

/** About 150 bytes each; a folder beyond it comes in the order of the disk. */
const maxHeld = 200_000;

/** How many entries of all open directories together may wait in memory to be sorted. */
export class SortBudget {
  left = maxHeld;
}

/** By name, letter by letter, where the whole directory fits the budget. What was read before an error comes before it. */
export async function* sortedEntries(
  entries: AsyncIterable<DirectoryEntry>,
  budget: SortBudget,
): AsyncGenerator<DirectoryEntry, void, undefined> {
  const held: DirectoryEntry[] = [];
  let tooMany = false;
  let taken = 0;
  try {
    for await (const entry of entries) {
      if (tooMany) {
        yield entry;
        continue;
      }
      held.push(entry);
      budget.left -= 1;
      taken += 1;
      tooMany = budget.left <= 0;
      if (tooMany) yield* held.splice(0);
    }
  } catch (error) {
    yield* sorted(held);
    throw error;
  } finally {
    budget.left += taken;
  }
  yield* sorted(held);
}

function sorted(entries: readonly DirectoryEntry[]): readonly DirectoryEntry[] {
  return entries.toSorted((one, other) => (one.name < other.name ? -1 : 1));
}
