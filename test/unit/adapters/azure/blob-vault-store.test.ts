/** What the store makes of answers that no healthy service gives, from a server on this machine that gives them. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { BlobVaultStore } from "../../../../shared/adapters/azure/blob-vault-store.ts";
import { openBlobAccount, openContainer, publicUrl } from "../../../../shared/adapters/azure/storage-clients.ts";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { signal } from "../../../support/vault/vault-fixture.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, number: number) => void;

let server: Server | undefined;
let requests = 0;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A store whose service answers so. The container's URL carries a SAS, which must never be seen again. */
async function storeWith(answer: Answer, tryTimeoutMs?: number): Promise<BlobVaultStore> {
  requests = 0;
  server = createServer((request, response) => {
    requests += 1;
    request.resume();
    request.on("end", () => answer(request, response, requests));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/acct/vault?sv=2026-01-01&sig=very-secret`;
  return new BlobVaultStore(await openContainer({ kind: "url", url }, tryTimeoutMs));
}

const headers = { "last-modified": "Sat, 21 Nov 2026 08:00:00 GMT", etag: '"0x1"', "x-ms-request-id": "id-1" };

async function failure(work: Promise<unknown>): Promise<FarsideError> {
  const error: unknown = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof FarsideError)) throw error;
  expect(JSON.stringify([error, error.message, String(error.cause)])).not.toMatch(/secret|sig=/);
  return error;
}

describe("A vault store, of a service that", () => {
  test("answers 404 without saying that the blob is not there, does not believe it", async () => {
    const bare = await storeWith((_, response) => response.writeHead(404).end());
    expect((await failure(bare.head("x", signal))).code).toBe("unavailable");
    expect((await failure(bare.read("x", 10, signal))).code).toBe("unavailable");
    // Control: with the service's code it does.
    const said = await storeWith((_, response) => response.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end());
    expect(await said.head("x", signal)).toBeUndefined();
  });

  test("is busy: tries four times, and passes on how long to wait", async () => {
    const busy = { "x-ms-error-code": "ServerBusy", "retry-after": "7" };
    const store = await storeWith((_, response) => response.writeHead(503, busy).end());
    const error = await failure(store.head("x", signal));
    expect([error.code, error.retryAfterMs, error.advice, requests]).toEqual(["throttled", 7000, "retry", 4]);
  });

  test("answers at the third try: is served", async () => {
    const store = await storeWith((_, response, number) => {
      if (number < 3) response.writeHead(500, { "x-ms-error-code": "InternalError" }).end();
      else response.writeHead(200, { ...headers, "content-length": "5" }).end();
    });
    expect(await store.head("x", signal)).toMatchObject({ sizeBytes: 5, lastModified: "2026-11-21T08:00:00.000Z" });
  });

  test("asks to slow down by 429: passes that on", async () => {
    const store = await storeWith((_, response) => response.writeHead(429, { "retry-after": "3" }).end());
    const error = await failure(store.create("x", Buffer.from("x"), signal));
    expect([error.code, error.retryAfterMs]).toEqual(["throttled", 3000]);
  });

  test("refuses access: says so with the request's id, and nothing of the request", async () => {
    const refusal = { ...headers, "x-ms-error-code": "AuthorizationPermissionMismatch" };
    const store = await storeWith((_, response) =>
      response.writeHead(403, refusal).end("<Error><Message>sig=very-secret</Message></Error>"),
    );
    const error = await failure(store.put("x", Buffer.from("x"), signal));
    expect(error).toMatchObject({
      code: "forbidden",
      details: { status: 403, code: "AuthorizationPermissionMismatch", requestId: "id-1" },
    });
  });

  test("drops the connection in the middle of a body: gives no content", async () => {
    const store = await storeWith((_, response) => {
      response.writeHead(200, { ...headers, "content-length": "1000" });
      response.write(Buffer.alloc(400));
      setTimeout(() => response.destroy(), 20);
    });
    expect((await failure(store.read("x", 1000, signal))).code).toBe("unavailable");
  });

  test("stops in the middle of a body: gives up when the try's time is up", async () => {
    const store = await storeWith((_, response) => {
      response.writeHead(200, { ...headers, "content-length": "1000" });
      response.write(Buffer.alloc(400));
    }, 300);
    expect((await failure(store.read("x", 1000, signal))).code).toBe("unavailable");
  });

  test("does not answer: is tried once more on another connection, which may be served", async () => {
    const store = await storeWith((_, response, number) => {
      if (number === 2) response.writeHead(200, { ...headers, "content-length": "5" }).end();
    }, 300);
    expect((await store.head("x", signal))?.sizeBytes).toBe(5);
    const silent = await storeWith(() => undefined, 300);
    expect((await failure(silent.head("x", signal))).code).toBe("unavailable");
    expect(requests).toBe(2);
  });

  test("is not there at all: says unavailable", async () => {
    const store = await storeWith(() => undefined);
    server?.close();
    expect((await failure(store.head("x", signal))).code).toBe("unavailable");
  });

  test("sends a body of more bytes than the blob may have: does not read it", async () => {
    let sent = 0;
    const store = await storeWith((_, response) => {
      response.writeHead(200, { ...headers, "content-length": String(2 ** 30) });
      response.on("close", () => {
        sent = response.socket?.bytesWritten ?? 0;
      });
      response.write(Buffer.alloc(1024));
    });
    expect((await failure(store.read("x", 1000, signal))).details["reason"]).toBe("too-long");
    expect(sent).toBeLessThan(100_000);
  });

  test("is slow while the caller gives up: throws the caller's reason", async () => {
    const store = await storeWith(() => undefined);
    const stop = new AbortController();
    const reading = store.read("x", 10, stop.signal);
    setTimeout(() => stop.abort(new FarsideError("interrupted", "Ctrl-C")), 30);
    expect((await failure(reading)).code).toBe("interrupted");
  });
});

describe("Addresses of storage", () => {
  test("that are wrong are told without being repeated, for they may hold a key", async () => {
    for (const opening of [
      openContainer({ kind: "connection-string", connectionString: "AccountKey=c2VjcmV0", container: "vault" }),
      openContainer({ kind: "url", url: "no url with sig=very-secret" }),
      openBlobAccount("AccountKey=c2VjcmV0"),
    ]) {
      const error = await failure(opening);
      expect(error.code).toBe("bad-configuration");
      expect(error.message).not.toContain("c2VjcmV0");
    }
  });

  test("are shown without their query", () => {
    expect(publicUrl("https://a.blob.core.windows.net/vault?sv=1&sig=secret")).toBe(
      "https://a.blob.core.windows.net/vault",
    );
  });
});
