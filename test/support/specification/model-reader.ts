/**
 * Reads the models of an SDK as they are on the wire. The interface of a model says of each property its type, whether it is required and whether
 * it is read-only; the function that reads the model from JSON says how it is called there, and which ones lie below `properties`.
 */
import type { TSSignature, TSType } from "oxc-parser";
import { namingsOf, textOf, type Naming } from "./naming.ts";
import type { SdkSource } from "./sdk-source.ts";
import type { WireModel, WireProperty, WireType } from "./wire-model.ts";

/** A property as TypeScript declares it. */
interface Member extends WireProperty {
  readonly client: string;
}

export class ModelReader {
  readonly #source: SdkSource;
  readonly #models = new Map<string, WireModel>();

  constructor(source: SdkSource) {
    this.#source = source;
  }

  /** The model's properties; throws for a name that is no model. */
  model(name: string): WireModel {
    const standing = this.#models.get(name);
    if (standing !== undefined) return standing;
    const made = this.#read(name);
    this.#models.set(name, made);
    return made;
  }

  /** What a serializer takes, or a deserializer gives. */
  typeOf(functionName: string): WireType {
    const declared = this.#source.declaration(`function ${functionName}`);
    if (declared?.type !== "TSDeclareFunction") throw new Error(`There is no function ${functionName}.`);
    const [given] = declared.params;
    const taken = given?.type === "Identifier" ? given.typeAnnotation?.typeAnnotation : undefined;
    const reads = functionName.endsWith("Deserializer") && !functionName.endsWith("ArrayDeserializer");
    const type = reads ? declared.returnType?.typeAnnotation : taken;
    if (type === undefined) throw new Error(`${functionName} has no type.`);
    return this.#type(type);
  }

  #read(name: string): WireModel {
    const members = new Map(this.#members(name).map((member) => [member.client, member]));
    const namings = this.#namings(name);
    const made = new Map<string, WireProperty>();
    for (const naming of namings) {
      if ("below" in naming) {
        const type = this.#below(name, naming.below, members);
        made.set(naming.wire, { type, required: naming.required, readOnly: false });
        continue;
      }
      const member = members.get(naming.client);
      if (member === undefined) throw new Error(`${name} has no ${naming.client}.`);
      made.set(naming.wire, member);
    }
    return made;
  }

  /** What lies below `properties`: a model of its own where the SDK has one, else the members that it was flattened into. */
  #below(owner: string, functionName: string, members: ReadonlyMap<string, Member>): WireType {
    const bare = functionName.replace(/^_/, "");
    if (this.#source.declaration(`function ${bare}`) !== undefined) return this.typeOf(bare);
    const name = `${owner}.${functionName}`;
    const flat = new Map<string, WireProperty>();
    for (const naming of namingsOf(this.#source.body(functionName), functionName)) {
      const member = "client" in naming ? members.get(naming.client) : undefined;
      if (member === undefined) throw new Error(`${name}: ${naming.wire} is not known.`);
      flat.set(naming.wire, member);
    }
    this.#models.set(name, flat);
    return { kind: "model", name };
  }

  /** Models that are only sent have nothing that reads them. */
  #namings(name: string): readonly Naming[] {
    for (const functionName of [`${name}Deserializer`, `${name}Serializer`]) {
      const body = this.#source.body(functionName);
      if (body !== undefined) return namingsOf(body, functionName);
    }
    throw new Error(`${this.#source.name} neither reads nor writes ${name}.`);
  }

  #members(name: string): readonly Member[] {
    const declared = this.#source.declaration(`interface ${name}`);
    if (declared?.type !== "TSInterfaceDeclaration") throw new Error(`${this.#source.name} has no model ${name}.`);
    const inherited = declared.extends.flatMap(({ expression }) =>
      expression.type === "Identifier" ? this.#members(expression.name) : [],
    );
    return [...inherited, ...declared.body.body.flatMap((one) => this.#member(one))];
  }

  #member(one: TSSignature): Member[] {
    if (one.type !== "TSPropertySignature" || one.typeAnnotation === null) return [];
    const client = one.key.type === "Identifier" ? one.key.name : textOf(one.key);
    const type = this.#type(one.typeAnnotation.typeAnnotation);
    return [{ client, type, required: !one.optional, readOnly: one.readonly }];
  }

  #type(type: TSType): WireType {
    if (type.type === "TSStringKeyword") return { kind: "text" };
    if (type.type === "TSNumberKeyword") return { kind: "number" };
    if (type.type === "TSBooleanKeyword") return { kind: "boolean" };
    if (type.type === "TSArrayType") return { kind: "list", of: this.#type(type.elementType) };
    if (type.type === "TSUnionType" || type.type === "TSLiteralType") {
      const all = (type.type === "TSUnionType" ? type.types : [type]).map(literal);
      const values = all.flatMap((value) => value ?? []);
      return values.length === all.length ? { kind: "value", values } : { kind: "anything" };
    }
    if (type.type !== "TSTypeReference" || type.typeName.type !== "Identifier") return { kind: "anything" };
    return this.#named(type.typeName.name, type.typeArguments?.params ?? []);
  }

  #named(name: string, parameters: readonly TSType[]): WireType {
    const last = parameters.at(-1);
    if (name === "Date") return { kind: "time" };
    if (name === "Uint8Array") return { kind: "text" };
    if (name === "Record" && last !== undefined) return { kind: "map", of: this.#type(last) };
    if (name === "Array" && last !== undefined) return { kind: "list", of: this.#type(last) };
    const alias = this.#source.declaration(`type ${name}`);
    if (alias?.type !== "TSTypeAliasDeclaration") return { kind: "model", name };
    const known = this.#source.declaration(`enum Known${name}`);
    if (known?.type !== "TSEnumDeclaration") return this.#type(alias.typeAnnotation);
    const values = known.body.members.flatMap(({ initializer }) =>
      initializer?.type === "Literal" && typeof initializer.value === "string" ? [initializer.value] : [],
    );
    return { kind: "value", values };
  }
}

function literal(type: TSType): string | undefined {
  if (type.type !== "TSLiteralType" || type.literal.type !== "Literal") return undefined;
  return typeof type.literal.value === "string" ? type.literal.value : undefined;
}
