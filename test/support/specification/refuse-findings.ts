/** Throws what the exchanges of a test have that the official specifications have not. */
export function refuseFindings(findings: readonly string[]): void {
  if (findings.length === 0) return;
  throw new Error(["Not as the official specifications have it:", ...findings].join("\n  "));
}
