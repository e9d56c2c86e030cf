/** What the command line knows of the world around it. Tests bring one of their own. */
export interface Shell {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly out: (text: string) => void;
  /** Standard output for what may be large: resolves when more may come, so that a slow reader slows the verb. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly err: (text: string) => void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Asks without showing what is typed; absent where nobody can be asked. */
  readonly askSecret?: (question: string) => Promise<string>;
  /** Asks for a line; absent where nobody can be asked. */
  readonly ask?: (question: string) => Promise<string>;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}
