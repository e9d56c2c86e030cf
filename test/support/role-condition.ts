/**
 * The conditions of role assignments, as far as those of `infra/roles/conditions` use them ("Azure role assignment condition format and
 * syntax"): `!`, `AND`, `OR`, brackets, `ActionMatches`, and a blob's path compared by `StringLike`, whose `*` stands for any letters.
 */
export interface ConditionFacts {
  readonly action: string;
  /** Within the container, without a slash at its beginning. */
  readonly blobPath: string;
}

const path = "@Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path]";

/** Throws where the text is no such condition. */
export function isConditionMet(text: string, facts: ConditionFacts): boolean {
  const tokens = text.match(/ActionMatches\{'[^']*'\}|@Resource\[[^\]]*\]|'[^']*'|[()!]|\w+/g) ?? [];
  const left = text.replaceAll(/ActionMatches\{'[^']*'\}|@Resource\[[^\]]*\]|'[^']*'|[()!]|\w+|\s+/g, "");
  if (left !== "") throw new Error(`This is not understood in a condition: ${left}`);
  let at = 0;
  const next = (): string => tokens[at++] ?? "";
  const expect = (token: string): void => {
    const found = next();
    if (found !== token) throw new Error(`A condition has ${found} where ${token} should be.`);
  };
  const any = (): boolean => {
    let met = all();
    while (tokens[at] === "OR") {
      at++;
      met = all() || met;
    }
    return met;
  };
  const all = (): boolean => {
    let met = one();
    while (tokens[at] === "AND") {
      at++;
      met = one() && met;
    }
    return met;
  };
  const one = (): boolean => {
    const token = next();
    if (token === "!") return !one();
    if (token === "(") {
      const met = any();
      expect(")");
      return met;
    }
    if (token.startsWith("ActionMatches{")) return token.slice("ActionMatches{'".length, -2) === facts.action;
    if (token !== path) throw new Error(`A condition has ${token} where an expression should be.`);
    expect("StringLike");
    return like(next().slice(1, -1), facts.blobPath);
  };
  const met = any();
  if (at < tokens.length) throw new Error(`A condition goes on with ${tokens[at] ?? ""}.`);
  return met;
}

function like(pattern: string, value: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.\\+?^${}()|[\]]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(value);
}
