/** The log of the process: one event is one constant name with fields. No secret and no SAS ever stands in a field. */
export interface EventLog {
  log(
    level: "debug" | "info" | "warning" | "error",
    event: string,
    fields: Readonly<Record<string, string | number | boolean>>,
  ): void;
}
