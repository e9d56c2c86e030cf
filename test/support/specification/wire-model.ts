/** What the specification says of JSON on the wire. */

export type WireType =
  | { readonly kind: "anything" }
  | { readonly kind: "text" | "time" | "number" | "boolean" }
  /** One of the values that the service is known to take and to give. */
  | { readonly kind: "value"; readonly values: readonly string[] }
  | { readonly kind: "list" | "map"; readonly of: WireType }
  /** By its name, for models refer to one another in circles. */
  | { readonly kind: "model"; readonly name: string };

export interface WireProperty {
  readonly type: WireType;
  readonly required: boolean;
  readonly readOnly: boolean;
}

/** Its properties by their names on the wire. */
export type WireModel = ReadonlyMap<string, WireProperty>;
