/**
 * The worker process: loads the app and runs its functions. Started by worker-process.ts, as this file or as a bundle.
 *
 * 1. An uncaught exception or an unhandled rejection ends the process with exit code 1, and with it every invocation in
 *    it, as in Azure: an app that only survives here would not survive there.
 * 2. It ends when the host does: the channel between them closes.
 */
import { writeSync } from "node:fs";
import { loadApp } from "./app-loader.ts";
import { installCore, Registry } from "./core-shim.ts";
import { runInvocation } from "./invocation.ts";
import { describeError, type LogSink } from "./log.ts";
import type { Binding, FromWorker, InvokeRequest, Registration, ToWorker } from "./worker-protocol.ts";

const registry = new Registry();

const send = (message: FromWorker): void => {
  // The callback keeps an error of a closing channel from becoming an uncaught exception.
  process.send?.(message, undefined, undefined, () => undefined);
};
const log: LogSink = (level, category, message) => send({ kind: "log", level, category, message });

process.on("uncaughtException", (error) => {
  // Written at once and not sent: the process is about to end.
  writeSync(2, `Worker uncaught exception (see above in the log what it was doing): ${describeError(error, true)}\n`);
  process.exit(1);
});
process.on("disconnect", () => process.exit(0));
process.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "start":
      void start(message.appFolder, message.hostVersion);
      break;
    case "invoke":
      void invoke(message.request);
      break;
    case "terminate":
      void terminate();
      break;
    default:
      message satisfies never;
  }
});

async function start(appFolder: string, hostVersion: string): Promise<void> {
  try {
    installCore(registry, { hostVersion, log });
    process.chdir(appFolder);
    const files = await loadApp(appFolder);
    await registry.runHooks("appStart", {
      hookData: {},
      appHookData: registry.appHookData,
      functionAppDirectory: appFolder,
      hostVersion,
    });
    const capabilities = (await registry.model?.getCapabilities?.({})) ?? {};
    if (capabilities["HttpUri"] !== undefined) {
      throw new Error("The app turns on enableHttpStream, which this host does not have: remove it from app.setup.");
    }
    registry.seal();
    send({ kind: "started", functions: registrations(), files });
  } catch (error) {
    send({ kind: "start-failed", message: describeError(error), stack: describeError(error, true) });
  }
}

async function invoke(request: InvokeRequest): Promise<void> {
  const { invocationId } = request;
  try {
    send({ kind: "succeeded", invocationId, ...(await runInvocation(registry, request, log)) });
  } catch (error) {
    send({ kind: "failed", invocationId, message: describeError(error), stack: describeError(error, true) });
  }
}

async function terminate(): Promise<void> {
  try {
    await registry.runHooks("appTerminate", { hookData: {}, appHookData: registry.appHookData });
  } catch (error) {
    log("error", "Worker.System", `An appTerminate hook failed: ${describeError(error, true)}`);
  }
  process.exit(0);
}

function registrations(): Registration[] {
  return [...registry.functions.values()].map(({ metadata }) => ({
    name: metadata.name,
    // Through JSON: options may hold what a structured clone refuses.
    bindings: JSON.parse(JSON.stringify(metadata.bindings)) as Record<string, Binding>,
    hasRetryPolicy: metadata.retryOptions !== undefined && metadata.retryOptions !== null,
  }));
}
