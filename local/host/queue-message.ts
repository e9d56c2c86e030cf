/** A queue message as the host reads it: its text, and the metadata that its function gets with it. */
import type { DequeuedMessageItem } from "@azure/storage-queue";
import type { TypedData } from "./worker-protocol.ts";

/** The text of a message; undefined where it is not encoded as the host expects, which makes it poison. */
export function decodeMessage(body: string, encoding: "base64" | "none"): string | undefined {
  if (encoding === "none") return body;
  const compact = body.replaceAll(/\s/g, "");
  const isBase64 = compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact);
  return isBase64 ? Buffer.from(compact, "base64").toString("utf8") : undefined;
}

export function encodeMessage(text: string | Uint8Array, encoding: "base64" | "none"): string {
  const bytes = Buffer.from(text);
  return encoding === "base64" ? bytes.toString("base64") : bytes.toString("utf8");
}

export type MessageFacts = Pick<
  DequeuedMessageItem,
  "messageId" | "popReceipt" | "dequeueCount" | "insertedOn" | "expiresOn" | "nextVisibleOn"
>;

/**
 * The trigger metadata of a message. Where the text is a JSON object, its top-level properties that are no arrays join
 * it, and hide entries of the same name whatever the case: a task with a property `id` or `dequeueCount` hides the
 * message's own, here as in Azure.
 */
export function triggerMetadata(message: MessageFacts, text: string): Record<string, TypedData> {
  const metadata = new Map<string, readonly [name: string, data: TypedData]>();
  const set = (name: string, data: TypedData): void => {
    const existing = metadata.get(name.toLowerCase());
    metadata.set(name.toLowerCase(), [existing?.[0] ?? name, data]);
  };
  set("QueueTrigger", { string: text });
  set("DequeueCount", { json: String(message.dequeueCount) });
  set("Id", { string: message.messageId });
  set("PopReceipt", { string: message.popReceipt });
  set("InsertionTime", { json: JSON.stringify(offsetTime(message.insertedOn)) });
  set("ExpirationTime", { json: JSON.stringify(offsetTime(message.expiresOn)) });
  set("NextVisibleTime", { json: JSON.stringify(offsetTime(message.nextVisibleOn)) });
  for (const [name, value] of Object.entries(jsonObject(text))) {
    if (!Array.isArray(value))
      set(name, typeof value === "string" ? { string: value } : { json: JSON.stringify(value) });
  }
  return Object.fromEntries(metadata.values());
}

/** As .NET writes a DateTimeOffset: to the second where it is whole, and with the offset as digits. */
const offsetTime = (date: Date): string => date.toISOString().replace(".000Z", "Z").replace("Z", "+00:00");

function jsonObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** The queue for messages that fail for ever; undefined where a queue has none. */
export function poisonQueueName(queueName: string): string | undefined {
  const name = `${queueName}-poison`;
  return queueName.endsWith("-poison") || name.length > 63 ? undefined : name;
}
