/**
 * What the host and its worker process say to each other, as structured clones over the IPC channel of a child process.
 * The shapes of data are those of the real host's protocol, because the app's own library reads and writes them.
 */
import type { LogLevel } from "./log.ts";

/** One value of one kind. */
export interface TypedData {
  readonly string?: string;
  readonly json?: string;
  readonly bytes?: Uint8Array;
  readonly int?: number;
  readonly double?: number;
  readonly http?: HttpData;
}

/** A request on the way to the worker, a response on the way back. */
export interface HttpData {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: TypedData | null;
  readonly statusCode?: string;
  readonly cookies?: readonly HttpCookie[];
}

/** As the library writes them: absent values are missing, or wrapped in an object. */
export interface HttpCookie {
  readonly name: string;
  readonly value: string;
  readonly domain?: { readonly value?: string } | null;
  readonly path?: { readonly value?: string } | null;
  readonly expires?: { readonly value?: { readonly seconds?: number } } | null;
  readonly secure?: { readonly value?: boolean } | null;
  readonly httpOnly?: { readonly value?: boolean } | null;
  readonly maxAge?: { readonly value?: number } | null;
  readonly sameSite?: "none" | "lax" | "strict" | "explicitNone";
}

export interface NamedData {
  readonly name: string;
  readonly data: TypedData;
}

/** A binding as the app registered it. Its options are not checked yet. */
export interface Binding {
  readonly type: string;
  readonly direction: "in" | "out";
  readonly [option: string]: unknown;
}

/** A function as the app registered it. */
export interface Registration {
  readonly name: string;
  readonly bindings: Readonly<Record<string, Binding>>;
  readonly hasRetryPolicy: boolean;
}

export interface InvokeRequest {
  readonly invocationId: string;
  readonly functionName: string;
  readonly inputData: readonly NamedData[];
  readonly triggerMetadata: Readonly<Record<string, TypedData>>;
}

export type ToWorker =
  | { readonly kind: "start"; readonly appFolder: string; readonly hostVersion: string }
  | { readonly kind: "invoke"; readonly request: InvokeRequest }
  /** Run the appTerminate hooks and exit; running invocations are not waited for. */
  | { readonly kind: "terminate" };

export type FromWorker =
  | { readonly kind: "started"; readonly functions: readonly Registration[]; readonly files: readonly string[] }
  | { readonly kind: "start-failed"; readonly message: string; readonly stack: string }
  | { readonly kind: "log"; readonly level: LogLevel; readonly category: string; readonly message: string }
  | {
      readonly kind: "succeeded";
      readonly invocationId: string;
      readonly outputData: readonly NamedData[];
      readonly returnValue: TypedData | undefined;
    }
  | { readonly kind: "failed"; readonly invocationId: string; readonly message: string; readonly stack: string };
