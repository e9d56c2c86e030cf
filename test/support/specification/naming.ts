/** How the properties of a model are called on the wire, and which of them lie below `properties` there: read from what reads or writes the model. */
import type { Argument, Expression, Statement } from "oxc-parser";

/** `below`: the function that reads or writes what lies below this name. */
export type Naming = { readonly wire: string } & (
  | { readonly client: string }
  | { readonly below: string; readonly required: boolean }
);

/** The names in the object that a serializer or a deserializer gives back. */
export function namingsOf(body: Statement | undefined, functionName: string): readonly Naming[] {
  const [first] = body?.type === "FunctionDeclaration" ? (body.body?.body ?? []) : [];
  const given = first?.type === "ReturnStatement" ? first.argument : undefined;
  if (given?.type !== "ObjectExpression") throw new Error(`${functionName} is not read: its generator has changed.`);
  const reads = functionName.endsWith("Deserializer");
  return given.properties.map((property): Naming => {
    const value = property.type === "SpreadElement" ? property.argument : property.value;
    const place = placeIn(value);
    const conditional = value.type === "ConditionalExpression";
    if (property.type === "SpreadElement") {
      return { wire: known(place, functionName), below: calledIn(value), required: !conditional };
    }
    const key = property.key.type === "Identifier" ? property.key.name : textOf(property.key);
    if (place === undefined) return { wire: key, below: calledIn(value), required: !conditional };
    return reads ? { wire: place, client: key } : { wire: key, client: place };
  });
}

/** The `place` of the first `item["place"]` in an expression. */
function placeIn(expression: Expression | Argument): string | undefined {
  if (expression.type === "MemberExpression") {
    const { object } = expression;
    return object.type === "Identifier" && object.name === "item" ? textOf(expression.property) : placeIn(object);
  }
  if (expression.type === "ConditionalExpression") return placeIn(expression.test);
  if (expression.type === "UnaryExpression") return placeIn(expression.argument);
  if (expression.type !== "CallExpression" && expression.type !== "NewExpression") return undefined;
  return placeIn(expression.callee) ?? expression.arguments.map(placeIn).find((place) => place !== undefined);
}

/** `… ? … : called(…)`, or the call alone. */
function calledIn(expression: Expression): string {
  const call = expression.type === "ConditionalExpression" ? expression.alternate : expression;
  if (call.type === "CallExpression" && call.callee.type === "Identifier") return call.callee.name;
  throw new Error(`A call is not read from ${expression.type}.`);
}

function known(place: string | undefined, functionName: string): string {
  if (place !== undefined) return place;
  throw new Error(`${functionName} reads from no place.`);
}

export function textOf(node: { readonly type: string; readonly value?: unknown; readonly name?: unknown }): string {
  if (typeof node.value === "string") return node.value;
  if (typeof node.name === "string") return node.name;
  throw new Error(`A name is not read from ${node.type}.`);
}
