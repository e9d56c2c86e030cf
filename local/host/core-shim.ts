/**
 * The module `@azure/functions-core`, which is no package: in Azure the worker process answers a `require` of it, and the
 * library `@azure/functions` registers everything with what it gets. So does this one.
 *
 * 1. The hook on `require` is in place before the app is loaded: the library remembers a failure for ever, goes into
 *    its "test mode" without an error, and registers nothing.
 * 2. After `seal`, registering throws, as it does in Azure.
 */
import { Module } from "node:module";
import type { LogLevel } from "./log.ts";
import type { Binding, InvokeRequest, NamedData, TypedData } from "./worker-protocol.ts";

export type FunctionCallback = (...values: unknown[]) => unknown;
export type HookCallback = (context: unknown) => unknown;

export interface FunctionMetadata {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly retryOptions?: unknown;
}

export interface RegisteredFunction {
  readonly metadata: FunctionMetadata;
  readonly callback: FunctionCallback;
}

/** What the library calls the context of one invocation; it comes from the host's side. */
export interface CoreContext {
  readonly invocationId: string;
  readonly request: InvokeRequest;
  readonly metadata: FunctionMetadata;
  state: "preInvocationHooks" | "postInvocationHooks" | "invocation" | undefined;
  log(level: string, category: string, message: string): void;
}

/** The part of the library that converts arguments and results; see its InvocationModel. */
interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(
    context: unknown,
    result: unknown,
  ): Promise<{ outputData?: NamedData[] | null; returnValue?: TypedData | null }>;
}

export interface ProgrammingModel {
  readonly name: string;
  readonly version: string;
  getCapabilities?(defaults: Record<string, string>): Promise<Record<string, string>>;
  getInvocationModel(context: CoreContext): InvocationModel;
}

const hookNames = ["appStart", "appTerminate", "preInvocation", "postInvocation", "log"] as const;
export type HookName = (typeof hookNames)[number];

export class Registry {
  readonly functions = new Map<string, RegisteredFunction>();
  readonly hooks: Record<HookName, HookCallback[]> = {
    appStart: [],
    appTerminate: [],
    preInvocation: [],
    postInvocation: [],
    log: [],
  };
  /** Shared by all hooks of the app for as long as it runs. */
  readonly appHookData: Record<string, unknown> = {};
  model: ProgrammingModel | undefined;
  #sealed = false;

  seal(): void {
    this.#sealed = true;
  }

  addFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
    if (this.#sealed) throw systemError(new Error("A function can only be registered during app startup."));
    if (this.functions.has(metadata.name)) {
      throw systemError(new Error(`A function with id "${metadata.name}" has already been registered.`));
    }
    this.functions.set(metadata.name, { metadata, callback });
    return new Disposable(() => this.functions.delete(metadata.name));
  }

  addHook(name: string, callback: HookCallback): Disposable {
    const known = hookNames.find((one) => one === name);
    // A RangeError: the library turns it into a message about the host's version.
    if (known === undefined) throw systemError(new RangeError(`Unrecognized hook "${name}"`));
    const hooks = this.hooks[known];
    hooks.push(callback);
    return new Disposable(() => {
      const index = hooks.indexOf(callback);
      if (index >= 0) hooks.splice(index, 1);
    });
  }

  /** In the order of registration, each awaited; the first that throws ends it. */
  async runHooks(name: Exclude<HookName, "log">, context: unknown): Promise<void> {
    for (const hook of this.hooks[name]) await hook(context);
  }
}

/** The class of that name in the module; not the language's Disposable. */
class Disposable {
  readonly #dispose: () => unknown;
  #done = false;

  constructor(dispose: () => unknown) {
    this.#dispose = dispose;
  }

  static from(...all: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => all.forEach((one) => one.dispose()));
  }

  dispose(): void {
    if (this.#done) return;
    this.#done = true;
    this.#dispose();
  }
}

export interface CoreOptions {
  readonly hostVersion: string;
  readonly log: (level: LogLevel, category: string, message: string) => void;
}

/** Answers every later `require("@azure/functions-core")` in this process with an API that fills the registry. */
export function installCore(registry: Registry, { hostVersion, log }: CoreOptions): void {
  const core = {
    version: "3.13.0",
    hostVersion,
    Disposable,
    registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) =>
      registry.addFunction(metadata, callback),
    registerHook: (name: string, callback: HookCallback) => registry.addHook(name, callback),
    setProgrammingModel: (model: ProgrammingModel) => {
      registry.model = model;
    },
    getProgrammingModel: () => registry.model,
    log: (level: string, category: string, message: string) =>
      log(levelOf(level), category === "user" ? "Worker.User" : "Worker.System", message),
  };
  const hook: ProxyHandler<NodeJS.Require> = {
    apply: (require, self, values: [string]) =>
      values[0] === "@azure/functions-core" ? core : (Reflect.apply(require, self, values) as unknown),
  };
  const original = Reflect.get(Module.prototype, "require") as NodeJS.Require;
  Reflect.set(Module.prototype, "require", new Proxy(original, hook));
}

export function levelOf(level: string): LogLevel {
  switch (level) {
    case "trace":
    case "debug":
    case "warning":
    case "error":
    case "critical":
      return level;
    default:
      return "information";
  }
}

const systemError = <T extends Error>(error: T): T => Object.assign(error, { isAzureFunctionsSystemError: true });
