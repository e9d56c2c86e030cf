/** The findings as a table for people: what was asked and found, and for what differs, what relies on it. */
import type { Finding } from "./check.ts";

export function report(findings: readonly Finding[]): string {
  const width = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length), 0);
  const names = width(["check", ...findings.map(({ check }) => check)]);
  const verdicts = width(["verdict", ...findings.map(({ verdict }) => verdict)]);
  const line = (check: string, verdict: string, found: string): string =>
    `${check.padEnd(names)}  ${verdict.padEnd(verdicts)}  ${found}`.trimEnd();
  const lines = [line("check", "verdict", "found")];
  for (const { check, verdict, found, assumed, relies } of findings) {
    lines.push(line(check, verdict, found));
    if (verdict === "differs") lines.push(line("", "", `assumed: ${assumed} (${relies})`));
  }
  return `${lines.join("\n")}\n`;
}
