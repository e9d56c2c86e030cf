/** Where the host and the app say what happens. The sink filters and prints; it must not throw. */
export type LogLevel = "trace" | "debug" | "information" | "warning" | "error" | "critical";

/**
 * Categories are the real host's: `Host.…`, `Function.<name>` for what the host says of an invocation,
 * `Function.<name>.User` for what the function itself logs, `Worker.…` for its process.
 */
export type LogSink = (level: LogLevel, category: string, message: string) => void;

/** One line for a log: the message of an Error, with the stack where `stack` asks for it. */
export function describeError(error: unknown, stack = false): string {
  if (!(error instanceof Error)) return String(error);
  return stack && error.stack !== undefined ? error.stack : error.message;
}
