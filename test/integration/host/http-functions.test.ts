import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../../local/host/host-options.ts";
import { HostBench, type LocalApp } from "../../support/host/local-app.ts";

const source = `
  app.http("echo", { route: "echo/{id}/{rest?}", methods: ["GET", "POST", "HEAD"], authLevel: "anonymous", handler: async (request, context) => ({
    status: 201,
    headers: { "x-one": "1", "content-type": "application/json" },
    cookies: [{ name: "c", value: "v", path: "/", httpOnly: true, sameSite: "Strict", maxAge: 5 }],
    body: JSON.stringify({ method: request.method, url: request.url, params: request.params, query: [...request.query], header: request.headers.get("x-sent"), body: await request.text() }),
  }) });
  app.http("locked", { authLevel: "function", handler: () => ({ body: "open" }) });
  app.http("boss", { authLevel: "admin", handler: () => ({ body: "boss" }) });
  app.http("list", { route: "things", methods: ["GET"], authLevel: "anonymous", handler: () => ({ body: "list" }) });
  app.http("make", { route: "things", methods: ["POST"], authLevel: "anonymous", handler: () => ({ body: "made" }) });
  app.http("any", { route: "things/{id}", methods: ["GET"], authLevel: "anonymous", handler: (request) => ({ body: "any " + request.params.id }) });
  app.http("newest", { route: "things/newest", methods: ["GET"], authLevel: "anonymous", handler: () => ({ body: "newest" }) });
  app.http("fails", { authLevel: "anonymous", handler: () => { throw new Error("secret reason"); } });
  app.http("nothing", { authLevel: "anonymous", handler: () => {} });
  app.http("nobody", { authLevel: "anonymous", handler: () => ({ status: 204, body: "dropped" }) });
  app.http("size", { methods: ["POST"], authLevel: "anonymous", handler: async (request) => ({ body: String((await request.arrayBuffer()).byteLength) }) });
  app.http("bytes", { authLevel: "anonymous", handler: () => ({ body: new Uint8Array(3_000_000).fill(7), headers: { "content-type": "application/octet-stream" } }) });
  app.http("slow", { authLevel: "anonymous", handler: async () => { await sleep(1500); note("slow ended"); return { body: "late" }; } });
  app.http("off", { authLevel: "anonymous", handler: () => ({ body: "off" }) });
  app.hook.preInvocation((context) => { if (context.invocationContext.functionName === "hooked") context.inputs = ["replaced"]; });
  app.hook.postInvocation((context) => { if (context.invocationContext.functionName === "hooked") { note(String(context.error)); context.error = undefined; context.result = { body: "saved" }; } });
  app.http("hooked", { authLevel: "anonymous", handler: (input) => { note(input); throw new Error("hooked"); } });
`;

let bench: HostBench;
let app: LocalApp;
let host: Host;

beforeAll(async () => {
  bench = await HostBench.start();
  app = await bench.app({ source, settings: { "AzureWebJobs.off.Disabled": "true" } });
  host = await app.host(
    { httpAnswerTimeoutMs: 1000 },
    { keys: { host: "the host's key", functions: { Locked: "own" } } },
  );
});
afterAll(() => bench.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${host.url}${path}`, { headers });
const statusAndText = async (answer: Response): Promise<[number, string]> => [answer.status, await answer.text()];

describe("An HTTP function", () => {
  test("gets method, address, parameters, query, headers and body, and its whole answer is sent", async () => {
    const path = "/api/ECHO/a%20b%2Fc/tail?x=1&x=2&y=%26";
    const answer = await fetch(host.url + path, { method: "POST", headers: { "x-sent": "h" }, body: "text ü" });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("x-one")).toBe("1");
    expect(answer.headers.get("set-cookie")).toBe("c=v; max-age=5; path=/; samesite=strict; httponly");
    expect(await answer.json()).toEqual({
      method: "POST",
      url: host.url + path,
      params: { id: "a b%2Fc", rest: "tail" },
      query: [
        ["x", "1,2"],
        ["y", "&"],
      ],
      header: "h",
      body: "text ü",
    });
    const withoutRest = (await (await get("/api/echo/1")).json()) as { params: unknown };
    expect(withoutRest.params).toEqual({ id: "1" });
    const head = await fetch(`${host.url}/api/echo/1`, { method: "HEAD" });
    expect(await statusAndText(head)).toEqual([201, ""]);
  });

  test("is found by its method too, and the more exact route wins; what nobody has is 404", async () => {
    expect(await statusAndText(await get("/api/things"))).toEqual([200, "list"]);
    expect(await statusAndText(await fetch(`${host.url}/api/things/`, { method: "POST" }))).toEqual([200, "made"]);
    expect(await statusAndText(await get("/api/things/7"))).toEqual([200, "any 7"]);
    expect(await statusAndText(await get("/api/things/newest"))).toEqual([200, "newest"]);
    expect((await fetch(`${host.url}/api/things`, { method: "DELETE" })).status).toBe(404);
    expect((await get("/things")).status).toBe(404);
    expect((await get("/api/things/7/8")).status).toBe(404);
    expect((await get("/api/things/%zz")).status).toBe(400);
    expect((await get("/api/off")).status).toBe(404);
    expect(host.functions.find(({ name }) => name === "off")).toMatchObject({ disabled: true, kind: "http" });
  });

  test("opens only with a key that fits, in the header or as ?code=", async () => {
    const withKey = async (path: string, key: string): Promise<number[]> => [
      (await get(path, { "x-functions-key": key })).status,
      (await get(`${path}?code=${encodeURIComponent(key)}`)).status,
    ];
    expect((await get("/api/locked")).status).toBe(401);
    expect(await withKey("/api/locked", "wrong")).toEqual([401, 401]);
    expect(await withKey("/api/locked", host.hostKey)).toEqual([200, 200]);
    expect(await withKey("/api/locked", "own")).toEqual([200, 200]);
    expect(await withKey("/api/locked", host.masterKey)).toEqual([200, 200]);
    expect(await withKey("/api/boss", host.hostKey)).toEqual([401, 401]);
    expect(await withKey("/api/boss", host.masterKey)).toEqual([200, 200]);
    expect((await get("/api/things")).status, "the control: anonymous").toBe(200);
    expect(host.masterKey).toMatch(/^[\w-]{43}$/);
    expect(host.hostKey).toBe("the host's key");
  });

  test("opens without keys where the host is told so", async () => {
    const open = await app.host({}, { requireKeys: false });
    expect(await statusAndText(await fetch(`${open.url}/api/locked`))).toEqual([200, "open"]);
    expect((await fetch(`${open.url}/admin/host/status`)).status).toBe(200);
    await open.stop();
  });

  test("that fails is 500 with an empty body, and the reason is in the log only; one that answers nothing is 204", async () => {
    expect(await statusAndText(await get("/api/fails"))).toEqual([500, ""]);
    expect(app.logged(/secret reason/).length).toBeGreaterThan(0);
    expect(await statusAndText(await get("/api/nothing"))).toEqual([204, ""]);
    expect(await statusAndText(await get("/api/nobody"))).toEqual([204, ""]);
  });

  test("gets and answers bodies of megabytes, and one over 100 MiB is 413, announced or not", async () => {
    const megabytes = new Uint8Array(9_000_000);
    expect(await (await fetch(`${host.url}/api/size`, { method: "POST", body: megabytes })).text()).toBe("9000000");
    const bytes = new Uint8Array(await (await get("/api/bytes")).arrayBuffer());
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([3_000_000, 7, 7]);
    expect(await statusOfUpload({ "content-length": String(200 * 1024 * 1024) }, 0)).toBe(413);
    expect(await statusOfUpload({}, 101 * 1024 * 1024)).toBe(413);
    expect(await statusOfUpload({}, 1024 * 1024), "the control").toBe(200);
  });

  test("that answers too late gets its caller a 504, and runs on", async () => {
    expect((await get("/api/slow")).status).toBe(504);
    await sleep(1200);
    expect(await app.noted()).toContain("slow ended");
  });

  test("runs between its hooks, which may replace inputs, result and error", async () => {
    expect(await statusAndText(await get("/api/hooked"))).toEqual([200, "saved"]);
    expect(await app.noted()).toEqual(expect.arrayContaining(["replaced", "Error: hooked"]));
  });

  test("does not hide the host's own endpoints", async () => {
    expect((await get("/")).status).toBe(200);
    expect((await get("/admin/host/ping")).status).toBe(200);
    expect((await get("/admin/host/status")).status).toBe(401);
    const master = { "x-functions-key": host.masterKey };
    expect(await (await get("/admin/host/status", master)).json()).toMatchObject({ state: "Running" });
    const functions = (await (await get("/admin/functions", master)).json()) as { name: string }[];
    expect(functions.map(({ name }) => name)).toContain("echo");
    expect((await get("/admin/anything", master)).status).toBe(404);
  });
});

/** The status of an upload of `sizeBytes` in chunks; the server may answer before the end and close. */
function statusOfUpload(headers: Record<string, string>, sizeBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const upload = request(`${host.url}/api/size`, { method: "POST", headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    // Writing into a connection that the server has closed; the answer has been read by then, or is lost.
    upload.on("error", reject);
    const chunk = Buffer.alloc(1024 * 1024);
    let left = sizeBytes;
    const write = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!upload.write(chunk)) {
          upload.once("drain", write);
          return;
        }
      }
      if (headers["content-length"] === undefined) upload.end();
      else upload.flushHeaders();
    };
    write();
  });
}
