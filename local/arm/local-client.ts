/**
 * Requests to the local ARM by hand, for what stands in for people and guests: the sample VMs, the demo. Farside itself goes through Azure's
 * own SDK.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { armOrigin } from "./arm.ts";
import type { RequestCounts } from "./local-endpoint.ts";
import { asList, asObject, asText, type Json } from "./resources.ts";

const pollMs = 50;
/** Any bearer token will do. */
const authorization = "Bearer local";

/** Versions of the specifications that the requests are written by. */
export const apiVersions = {
  disks: "2025-01-02",
  machines: "2025-04-01",
  network: "2025-01-01",
  groups: "2024-11-01",
} as const;

type Version = (typeof apiVersions)[keyof typeof apiVersions];

export class LocalArmClient {
  readonly url: string;
  readonly #signal: AbortSignal;

  constructor(url: string, signal: AbortSignal) {
    this.url = url;
    this.#signal = signal;
  }

  /** Undefined where there is none. `expand`: what ARM adds to the answer only where it is asked to. */
  async get(id: string, version: Version, expand?: string): Promise<Json | undefined> {
    const more = expand === undefined ? "" : `&$expand=${expand}`;
    const response = await this.#send("GET", `${id}?api-version=${version}${more}`, undefined, [404]);
    return response.status === 404 ? undefined : asObject(await response.json());
  }

  /** Of the first page. */
  async list(id: string, version: Version): Promise<readonly Json[]> {
    return asList((await this.get(id, version))?.["value"]);
  }

  /** Waits for the operation's end. */
  async put(id: string, version: Version, body: Json): Promise<void> {
    await this.#settled(await this.#send("PUT", `${id}?api-version=${version}`, JSON.stringify(body)));
  }

  /** Waits for the operation's end. */
  async delete(id: string, version: Version): Promise<void> {
    await this.#settled(await this.#send("DELETE", `${id}?api-version=${version}`));
  }

  /** Waits for the operation's end, and gives its result. */
  async post(id: string, version: Version, body: Json = {}): Promise<Json> {
    return this.#settled(await this.#send("POST", `${id}?api-version=${version}`, JSON.stringify(body)));
  }

  /** As the guest of the running VM writes. Whole pages, at most 4 MiB. */
  async guestWrites(diskId: string, offset: number, content: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#send("POST", `/local/disks${diskId}?offset=${offset}`, content);
  }

  /** As the guest gives pages back that it does not need any more. */
  async guestTrims(diskId: string, offset: number, length: number): Promise<void> {
    await this.#send("DELETE", `/local/disks${diskId}?offset=${offset}&length=${length}`);
  }

  /** At most 4 MiB of what the disk holds now. */
  async diskHolds(diskId: string, offset: number, length: number): Promise<Buffer> {
    const response = await this.#send("GET", `/local/disks${diskId}?offset=${offset}&length=${length}`);
    return Buffer.from(await response.arrayBuffer());
  }

  async requests(): Promise<RequestCounts> {
    const { reads, writes, deletes } = asObject(await (await this.#send("GET", "/local/requests")).json());
    return { reads: Number(reads), writes: Number(writes), deletes: Number(deletes) };
  }

  async #settled(begun: Response): Promise<Json> {
    const status = begun.headers.get("azure-asyncoperation");
    const result = begun.headers.get("location");
    if (status === null) return asObject(parseOrNothing(await begun.text()));
    for (;;) {
      const seen = asObject(await (await this.#send("GET", this.#path(status))).json());
      if (seen["status"] === "Succeeded") break;
      if (seen["status"] === "Failed")
        throw new Error(`An operation of the local ARM failed: ${asText(asObject(seen["error"])["message"])}`);
      await sleep(pollMs, undefined, { signal: this.#signal });
    }
    if (result === null) return {};
    return asObject(parseOrNothing(await (await this.#send("GET", this.#path(result))).text()));
  }

  #path(url: string): string {
    return url.startsWith(armOrigin) ? url.slice(armOrigin.length) : url;
  }

  async #send(
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    accepted: readonly number[] = [],
  ): Promise<Response> {
    const type = typeof body === "string" ? "application/json" : "application/octet-stream";
    const response = await fetch(`${this.url}${path}`, {
      method,
      signal: this.#signal,
      headers: { authorization, ...(body === undefined ? {} : { "content-type": type }) },
      ...(body === undefined ? {} : { body }),
    });
    if (response.ok || accepted.includes(response.status)) return response;
    const [shown] = path.split("?");
    throw new Error(`${method} ${shown} answered ${response.status}: ${await response.text()}`);
  }
}

function parseOrNothing(text: string): unknown {
  return text === "" ? {} : JSON.parse(text);
}
