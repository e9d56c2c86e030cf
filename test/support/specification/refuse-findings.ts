/**
 * Throws what the exchanges of a test have that the official specifications have not. What a test has made so on purpose is `expected`: where it
 * is not found, the test did not do what it says.
 */
export function refuseFindings(findings: readonly string[], expected: readonly RegExp[] = []): void {
  const left = findings.filter((finding) => !expected.some((pattern) => pattern.test(finding)));
  const missing = expected.filter((pattern) => !findings.some((finding) => pattern.test(finding)));
  const lines = [...left, ...missing.map((pattern) => `expected, and not found: ${String(pattern)}`)];
  if (lines.length > 0) throw new Error(["Not as the official specifications have it:", ...lines].join("\n  "));
}
