/** A guest for tests: a real HTTP server that freezes, thaws, thaws by itself, and fails in the ways that guests fail. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type GuestFault =
  /** Takes the request and never answers; the freeze does not happen. */
  | "no-answer"
  /** Freezes, and never answers. */
  | "freeze-without-answer"
  /** Answers the freeze, and hangs from then on: it thaws only by itself. */
  | "hang-when-frozen"
  | "refuse"
  /** Answers what was not agreed. */
  | "garbage"
  /** Thaws only `thawDelayMs` after it was asked, and answers then. */
  | "thaw-late";

export interface GuestServer {
  readonly url: string;
  readonly isFrozen: boolean;
  /** What happened, in order: `freeze`, `thaw`, `self-thaw`, `state`, `stale-thaw`. */
  readonly history: readonly string[];
  level: "application" | "filesystem";
  /** Whether it keeps and reports tokens and `wasFrozen`, as guests should. */
  knowsTokens: boolean;
  thawDelayMs: number;
  /** Called at each change, so that a test can hold the disks' writes. */
  onChange: (frozen: boolean) => void;
  fail(fault: GuestFault | undefined): void;
  close(): Promise<void>;
}

export async function startGuestServer(): Promise<GuestServer> {
  const history: string[] = [];
  let frozen: { token: string | undefined; timer: NodeJS.Timeout } | undefined;
  let fault: GuestFault | undefined;

  const thaw = (how: string): void => {
    if (frozen === undefined) return;
    clearTimeout(frozen.timer);
    frozen = undefined;
    history.push(how);
    guest.onChange(false);
  };
  const freeze = (ttlSeconds: number, token: string | undefined): void => {
    if (frozen !== undefined) clearTimeout(frozen.timer);
    frozen = { token, timer: setTimeout(() => thaw("self-thaw"), ttlSeconds * 1000) };
    history.push("freeze");
    guest.onChange(true);
  };

  const answers: Record<string, (body: Record<string, unknown>, response: ServerResponse) => void> = {
    "POST /freeze": (body, response) => {
      freeze(Number(body["ttlSeconds"]), typeof body["token"] === "string" ? body["token"] : undefined);
      if (fault !== "freeze-without-answer") send(response, 200, { frozen: true, level: guest.level });
    },
    "POST /thaw": (body, response) => {
      const finish = (): void => {
        const isOwn = !guest.knowsTokens || frozen?.token === undefined || frozen.token === body["token"];
        const wasFrozen = frozen !== undefined && isOwn;
        if (frozen !== undefined && !isOwn) history.push("stale-thaw");
        if (isOwn) thaw("thaw");
        send(response, 200, guest.knowsTokens ? { thawed: true, wasFrozen } : { thawed: true });
      };
      if (fault === "thaw-late") setTimeout(finish, guest.thawDelayMs);
      else finish();
    },
    "GET /state": (_, response) => {
      history.push("state");
      const token = guest.knowsTokens && frozen?.token !== undefined ? { token: frozen.token } : {};
      send(response, 200, frozen === undefined ? { frozen: false } : { frozen: true, level: guest.level, ...token });
    },
  };

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      if (fault === "no-answer" || (fault === "hang-when-frozen" && frozen !== undefined)) return;
      if (fault === "refuse") return send(response, 503, { error: "not now" });
      if (fault === "garbage") return send(response, 200, { frozen: "perhaps" });
      const answer = answers[`${request.method} ${new URL(request.url ?? "/", "http://guest").pathname}`];
      if (answer === undefined) return send(response, 404, {});
      const text = Buffer.concat(pieces).toString("utf8");
      return answer(text === "" ? {} : (JSON.parse(text) as Record<string, unknown>), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const guest: GuestServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get isFrozen() {
      return frozen !== undefined;
    },
    history,
    level: "filesystem",
    knowsTokens: true,
    thawDelayMs: 1000,
    onChange: () => undefined,
    fail: (next) => {
      fault = next;
    },
    close: async () => {
      if (frozen !== undefined) clearTimeout(frozen.timer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return guest;
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
