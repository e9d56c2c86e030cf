/**
 * A guest that writes a stripe over two page blobs all the time and answers the webhook (docs/guest-webhook.md):
 * POST /freeze {ttlSeconds, token}, POST /thaw {token}, GET /state.
 *
 * 1. A freeze is answered only when the record being written stands on both disks and nothing is in flight.
 * 2. It thaws by itself after ttlSeconds, whoever forgot it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { PageBlobClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { encodeRecord, recordOffset } from "./stripe.ts";

export interface StripeGuestOptions {
  readonly accountName: string;
  readonly accountKey: string;
  /** URLs of the page blobs A and B. */
  readonly disks: readonly [string, string];
  readonly firstRecord: number;
}

export interface StripeGuest {
  readonly url: string;
  /** Records that stand on both disks. */
  written(): number;
  stop(): Promise<void>;
}

export async function startStripeGuest(options: StripeGuestOptions): Promise<StripeGuest> {
  const credential = new StorageSharedKeyCredential(options.accountName, options.accountKey);
  const [a, b] = options.disks.map((url) => new PageBlobClient(url, credential)) as [PageBlobClient, PageBlobClient];
  const writer = new StripeWriter(a, b, options.firstRecord);
  const writing = writer.run();
  const server = createServer((request, response) => {
    answer(writer, request, response).catch((error: unknown) => {
      response.writeHead(500, { "content-type": "application/json" }).end(JSON.stringify({ error: String(error) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The guest's server has no port.");
  return {
    url: `http://127.0.0.1:${address.port}`,
    written: () => writer.nextRecord,
    async stop() {
      writer.stop();
      await writing;
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Writes record after record; can be held between two of them. */
class StripeWriter {
  nextRecord: number;
  #stopped = false;
  #frozenBy: string | undefined;
  #frozenUntil = 0;
  /** The record being written, so that a freeze can wait for it. */
  #writing: Promise<void> = Promise.resolve();
  readonly #a: PageBlobClient;
  readonly #b: PageBlobClient;

  constructor(a: PageBlobClient, b: PageBlobClient, firstRecord: number) {
    this.#a = a;
    this.#b = b;
    this.nextRecord = firstRecord;
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      if (this.frozen) {
        await sleep(2);
        continue;
      }
      this.#writing = this.#writeNext();
      await this.#writing;
    }
  }

  async #writeNext(): Promise<void> {
    const record = encodeRecord(this.nextRecord);
    const offset = recordOffset(this.nextRecord);
    await this.#a.uploadPages(record, offset, record.length);
    await this.#b.uploadPages(record, offset, record.length);
    this.nextRecord++;
  }

  get frozen(): boolean {
    return performance.now() < this.#frozenUntil;
  }

  get token(): string | undefined {
    return this.frozen ? this.#frozenBy : undefined;
  }

  async freeze(ttlSeconds: number, token: string): Promise<void> {
    this.#frozenBy = token;
    this.#frozenUntil = performance.now() + ttlSeconds * 1000;
    await this.#writing;
  }

  /** Whether it was frozen by this token until now. */
  thaw(token: string): boolean {
    const was = this.frozen && this.#frozenBy === token;
    if (was) this.#frozenUntil = 0;
    return was;
  }

  stop(): void {
    this.#stopped = true;
  }
}

async function answer(writer: StripeWriter, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const route = `${request.method} ${request.url}`;
  if (route === "GET /state") {
    reply(200, writer.frozen ? { frozen: true, level: "application", token: writer.token } : { frozen: false });
    return;
  }
  if (route !== "POST /freeze" && route !== "POST /thaw") {
    reply(404, { error: `There is no ${route}.` });
    return;
  }
  const body = await readJson(request);
  const token = typeof body["token"] === "string" ? body["token"] : "";
  if (route === "POST /thaw") {
    reply(200, { thawed: true, wasFrozen: writer.thaw(token) });
    return;
  }
  const ttlSeconds = body["ttlSeconds"];
  if (typeof ttlSeconds !== "number" || !(ttlSeconds > 0)) {
    reply(400, { error: "ttlSeconds must be a number above 0." });
    return;
  }
  if (writer.frozen && writer.token !== token) {
    reply(409, { error: "It is frozen by another backup." });
    return;
  }
  await writer.freeze(ttlSeconds, token);
  reply(200, { frozen: true, level: "application" });
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString("utf8") || "{}") as Record<string, unknown>;
}
