/** What came of taking files out: how much, what got another name, what was left out and why, what is wrong with what. */
import type { FarsideError } from "../../core/errors.ts";
import type { FileStat } from "../../ports/file-system.ts";
import type { FileProblem, Told } from "./file-problem.ts";
import { fileProblem, pathText, TellingList } from "./file-problem.ts";

export interface TakeCounts {
  readonly files: number;
  readonly directories: number;
  readonly links: number;
  readonly hardLinks: number;
  /** Of all files, as long as they are, holes too. */
  readonly bytes: number;
}

export interface TakeReport extends TakeCounts {
  readonly renamed: Told<{ readonly path: string; readonly as: string }>;
  readonly skipped: Told<{ readonly path: string; readonly reason: string }>;
  readonly problems: Told<FileProblem>;
  /** Whether a problem is damage in the vault. */
  readonly vaultDamaged: boolean;
}

export class TakeTally {
  readonly counts = { files: 0, directories: 0, links: 0, hardLinks: 0, bytes: 0 };
  readonly #renamed = new TellingList<{ path: string; as: string }>();
  readonly #skipped = new TellingList<{ path: string; reason: string }>();
  readonly #problems = new TellingList<FileProblem>();
  #vaultDamaged = false;

  get report(): TakeReport {
    return {
      ...this.counts,
      renamed: this.#renamed.told,
      skipped: this.#skipped.told,
      problems: this.#problems.told,
      vaultDamaged: this.#vaultDamaged,
    };
  }

  addRenamed(path: readonly string[], as: readonly string[]): void {
    this.#renamed.add({ path: pathText(path), as: as.join("/") });
  }

  addSkipped(path: readonly string[], reason: string): void {
    this.#skipped.add({ path: pathText(path), reason });
  }

  /** Of a device, fifo or socket: it is never made, since it could lead out of the folder or hang a reader. */
  addSpecial(path: readonly string[], { kind }: FileStat): void {
    this.addSkipped(path, `a ${kind} is never made`);
  }

  /** Of a file that lost its set-user-id or set-group-id bit. */
  addDropped(path: readonly string[], { mode }: FileStat): void {
    if ((mode & 0o6000) !== 0) this.addSkipped(path, "its set-user-id or set-group-id bit was left out");
  }

  addProblem(path: readonly string[], error: FarsideError): void {
    this.#vaultDamaged ||= error.code === "vault-corrupt";
    this.#problems.add(fileProblem(path, error));
  }
}
