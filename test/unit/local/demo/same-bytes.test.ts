import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ringAt } from "../../../../local/demo/managed-guest.ts";
import { sameBytes } from "../../../../local/demo/same-bytes.ts";
import { judgeStripe, readStripe } from "../../../../local/demo/stripe.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-same-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("Files are the same only if every byte is, the last one and the length included", async () => {
  const content = randomBytes(5 * 1024 ** 2);
  const one = await file("one", content);
  expect(await sameBytes(one, await file("same", content))).toBe(true);
  for (const at of [0, 4 * 1024 ** 2, content.length - 1]) {
    const other = Buffer.from(content);
    other.writeUInt8(other.readUInt8(at) ^ 1, at);
    expect(await sameBytes(one, await file("other", other))).toBe(false);
  }
  expect(await sameBytes(one, await file("shorter", content.subarray(0, -1)))).toBe(false);
  const head = randomBytes(512);
  expect(await sameBytes(one, await file("headless", content), head)).toBe(false);
  expect(await sameBytes(await file("headed", Buffer.concat([head, content.subarray(512)])), one, head)).toBe(true);
});

test("The ring that a guest expects is the one that its records make", () => {
  for (const newest of [0, 1, 2047, 2048, 5000]) {
    expect(readStripe(ringAt(newest))).toEqual({ newest, unbroken: true });
    expect(judgeStripe(ringAt(newest + 1), ringAt(newest)).oneInstant).toBe(true);
    expect(judgeStripe(ringAt(newest), ringAt(newest + 1)).oneInstant).toBe(false);
  }
  expect(readStripe(ringAt(-1)).newest).toBe(-1);
});
