/**
 * One invocation inside the worker process, in the order of the real worker: arguments, preInvocation hooks (which may
 * replace the inputs and the handler), the handler, postInvocation hooks (which may replace the result and the error;
 * without an error it is a success), the response. The library's own code does all conversions.
 */
import { type CoreContext, levelOf, type Registry } from "./core-shim.ts";
import type { LogSink } from "./log.ts";
import type { InvokeRequest, NamedData, TypedData } from "./worker-protocol.ts";

export interface InvocationResponse {
  readonly outputData: readonly NamedData[];
  readonly returnValue: TypedData | undefined;
}

/** Throws what the handler, a hook or a conversion threw. */
export async function runInvocation(
  registry: Registry,
  request: InvokeRequest,
  log: LogSink,
): Promise<InvocationResponse> {
  const registered = registry.functions.get(request.functionName);
  if (registered === undefined || registry.model === undefined) {
    throw new Error(`The app has no function ${JSON.stringify(request.functionName)}.`);
  }
  const hookData: Record<string, unknown> = {};
  const { appHookData } = registry;
  let invocationContext: unknown;
  const core: CoreContext = {
    invocationId: request.invocationId,
    request,
    metadata: registered.metadata,
    state: undefined,
    log: (level, category, message) => {
      const entry = { level, category, message, hookData, appHookData, invocationContext };
      for (const hook of registry.hooks.log) hook(entry);
      const suffix = entry.category === "user" ? ".User" : "";
      if (entry.level !== "none") log(levelOf(entry.level), `Function.${request.functionName}${suffix}`, entry.message);
    },
  };
  const model = registry.model.getInvocationModel(core);
  const { context, inputs } = await model.getArguments();
  invocationContext = context;

  const before = {
    hookData,
    appHookData,
    invocationContext,
    functionCallback: registered.callback,
    inputs,
  };
  core.state = "preInvocationHooks";
  await registry.runHooks("preInvocation", before).finally(() => (core.state = undefined));

  const after = {
    hookData,
    appHookData,
    invocationContext,
    inputs: before.inputs,
    result: undefined as unknown,
    error: undefined as unknown,
  };
  core.state = "invocation";
  try {
    after.result = await model.invokeFunction(context, before.inputs, before.functionCallback);
  } catch (error) {
    // A thrown undefined is a failure too.
    after.error = error ?? new Error("The function threw without an error.");
  }
  core.state = "postInvocationHooks";
  await registry.runHooks("postInvocation", after).finally(() => (core.state = undefined));
  if (after.error !== undefined && after.error !== null) throw after.error;

  const { outputData, returnValue } = await model.getResponse(context, after.result);
  return { outputData: outputData ?? [], returnValue: returnValue ?? undefined };
}
