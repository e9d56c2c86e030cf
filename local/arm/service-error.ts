/** What a service answers instead of doing it: ARM in JSON (`{"error": {"code", "message"}}`), the blob service in XML. */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  /** In the answer of ARM. */
  get body(): Readonly<Record<string, unknown>> {
    return { error: { code: this.code, message: this.message } };
  }
}

export interface ComputeLimit {
  /** Which of its limits, as the header and the details name it. */
  readonly policy: string;
  readonly allowed: number;
  readonly measured: number;
  readonly retryAfterSeconds: number;
}

/** 429 of compute itself: its body is flat, and its details say which limit it was ("Troubleshoot API throttling errors"). */
export class ThrottledByCompute extends ServiceError {
  readonly #limit: ComputeLimit;

  constructor(limit: ComputeLimit) {
    const text = "The server rejected the request because too many requests have been received for this subscription.";
    super(429, "OperationNotAllowed", text, {
      "Retry-After": String(limit.retryAfterSeconds),
      "x-ms-ratelimit-remaining-resource": `Microsoft.Compute/${limit.policy};0`,
    });
    this.#limit = limit;
  }

  override get body(): Readonly<Record<string, unknown>> {
    const { policy, allowed, measured } = this.#limit;
    const facts = { operationGroup: policy, allowedRequestCount: allowed, measuredRequestCount: measured };
    const details = [{ code: "TooManyRequests", target: policy, message: JSON.stringify(facts) }];
    return { code: this.code, message: this.message, details };
  }
}
