import type { NameMapper } from "../../core/files/target-name.ts";
import { nameMapper } from "../../core/files/target-name.ts";
import type { TargetNames } from "../../core/files/target-name.ts";
import type { TargetPath } from "../../ports/extraction-target.ts";
import type { NodeId } from "../../ports/file-system.ts";

export interface TargetPlace {
  readonly path: TargetPath;
  /** Whether its own name became another; not those above it. */
  readonly renamed: boolean;
}

/** Where the steps of one walk go: the names that the open directories got, and in each the names that are taken. */
export class TargetPlaces {
  readonly #names: string[] = [];
  readonly #mappers: NameMapper[] = [];
  readonly #rules: TargetNames;
  readonly #top: TargetPath;
  readonly #startDepth: number;

  /** `top` is where the start of the walk goes, whose own path has `startDepth` names. */
  constructor(rules: TargetNames, top: TargetPath, startDepth: number) {
    this.#rules = rules;
    this.#top = top;
    this.#startDepth = startDepth;
  }

  /** To be asked once for each node, in the order of the walk. */
  enter(path: readonly string[], node: NodeId): TargetPlace {
    const depth = path.length - this.#startDepth;
    if (depth <= 0) return { path: this.#top, renamed: false };
    this.#names.length = depth - 1;
    this.#mappers.length = depth;
    const mapper = (this.#mappers[depth - 1] ??= nameMapper(this.#rules));
    const { name, renamed } = mapper(path.at(-1) ?? "", node);
    this.#names.push(name);
    return { path: [...this.#top, ...this.#names], renamed };
  }

  /** Of a directory that the walk leaves. */
  leave(path: readonly string[]): TargetPath {
    return [...this.#top, ...this.#names.slice(0, path.length - this.#startDepth)];
  }
}
