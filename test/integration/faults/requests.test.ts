/** One fault at each kind of request, during a whole backup and a whole restore: on the source and the vault; on tables and queues too. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { PipelineBench } from "../../support/faults/pipeline-bench.ts";
import type { SeenRequest, StorageProxy } from "../../support/storage-proxy.ts";

const never = new AbortController().signal;
let bench: PipelineBench;
beforeAll(async () => {
  bench = await PipelineBench.start();
});
afterEach(() => bench.reset());
afterAll(() => bench.stop());

const faults = [
  ["429 with a Retry-After", "429", { kind: "answer", status: 429, headers: { "retry-after": "1" } }],
  ["500", "500", { kind: "answer", status: 500, code: "InternalError" }],
  [
    "503 with a Retry-After",
    "503",
    { kind: "answer", status: 503, code: "ServerBusy", headers: { "retry-after": "1" } },
  ],
  ["a connection that breaks before the service hears", "before", { kind: "reset", when: "before" }],
  ["a connection that breaks after the service has done it", "after", { kind: "reset", when: "after" }],
  ["a body that is cut short", "cut", { kind: "cut-body", afterBytes: 100 }],
] as const;

type Fault = (typeof faults)[number][2];
type Kind = SeenRequest["kind"];

/** The next request of each of these kinds meets the fault; a cut needs a body of some length. */
function each(proxy: StorageProxy, kinds: readonly Kind[], fault: Fault): () => void {
  const fitting =
    fault.kind === "cut-body" ? kinds.filter((kind) => ["read", "list", "page-list"].includes(kind)) : kinds;
  const injected = fitting.map((kind) => ({ kind, fault: proxy.inject(kind, fault) }));
  return () => expect(injected.filter((one) => one.fault.hits === 0).map(({ kind }) => kind)).toEqual([]);
}

test.each(faults)("A backup and a restore get over %s at each kind of request", async (_, name, fault) => {
  const scene = await bench.scene({ name: `faults-${name}`, disks: ["os", "data"], vm: { retryWindowSeconds: 7200 } });
  await scene.prove(await scene.backup());
  const checks = [
    // Also the removal of the first backup's snapshots.
    each(bench.source, ["head", "snapshot", "page-list", "read", "list", "remove"], fault),
    each(bench.vault, ["head", "read", "put", "list", "remove"], fault),
  ];
  await scene.disk("os").uploadPages(Buffer.alloc(4096, 1), 4096, 4096);
  const backup = await scene.backup();
  for (const check of checks) check();
  // A clean-up that met a fault which the client does not try again (429) is left to the reconciler.
  await reconcile(scene.pipeline.context, { sweep: "all" }, never);
  const manifest = await scene.prove(backup);

  bench.reset();
  const kinds = ["head", "read", "put", "list", "create-page-blob", "put-page", "remove"] as const;
  let check = (): void => undefined;
  const run = await scene.restore(manifest, `to-${name}`, () => (check = each(bench.vault, kinds, fault)));
  await reconcile(scene.pipeline.context, { sweep: "all" }, never);
  await scene.proveRestore(run, manifest, `to-${name}`);
  check();
  expect(run.state).toBe("succeeded");
});
