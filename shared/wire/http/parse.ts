/** Checks what came in against its schema; what does not fit becomes one `bad-input` that names every wrong field. */
import type { z } from "zod";
import { FarsideError } from "../../core/errors.ts";
import type { FieldError } from "./problem.ts";

/** `what`: "body" or "query". */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw inputError(result.error.issues.flatMap(fieldErrors), what);
}

export function inputError(errors: readonly FieldError[], what: string): FarsideError {
  const [first] = errors;
  const where = first === undefined || first.path === "" ? "" : `${first.path}: `;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  return new FarsideError(
    "bad-input",
    `The ${what} is not valid: ${where}${first?.message ?? "it does not fit"}${more}`,
    {
      details: { errors },
    },
  );
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = pathText(issue.path);
  // One line for each unknown field, at its own path: that is where a person looks.
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: "There is no such field." }));
  }
  // Of a union's branches, the one that got furthest knows what is wrong.
  if (issue.code === "invalid_union") {
    const nested = issue.errors.filter((branch) => branch.length > 0).at(-1) ?? [];
    const inner = nested.flatMap((one) => fieldErrors({ ...one, path: [...issue.path, ...one.path] }));
    if (inner.length > 0) return inner;
  }
  return [{ path, message: issue.message }];
}

function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text;
}
