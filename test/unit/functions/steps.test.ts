import { InvocationContext } from "@azure/functions";
import { describe, expect, test, vi } from "vitest";
import { withDeadline } from "../../../functions/deadline.ts";
import { poisonHandler, stepHandler } from "../../../functions/queues/steps.ts";
import { createApp } from "../../../shared/compose/app.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { encodeTask } from "../../../shared/wire/task.ts";
import { sampleRunId } from "../../support/sample-rows.ts";
import { createTestApp } from "../../support/test-app.ts";

const signal = new AbortController().signal;
const message: unknown = JSON.parse(encodeTask({ kind: "start-backup", runId: sampleRunId(1) }));

function delivery(dequeueCount: number): InvocationContext {
  return new InvocationContext({ triggerMetadata: { dequeueCount } });
}

describe("A queue function", () => {
  test("throws for what is no task, so that the host moves it to the poison queue", async () => {
    const { app } = createTestApp();
    await expect(stepHandler(app)({ kind: "make-coffee" }, delivery(1))).rejects.toMatchObject({ code: "bad-input" });
  });

  test("throws where the app has no settings to work with: the message is kept for later", async () => {
    await expect(stepHandler(createApp({}, signal))(message, delivery(1))).rejects.toMatchObject({
      code: "bad-configuration",
    });
  });

  test("takes a message for a run that is not there as late, and is done with it", async () => {
    const { app } = createTestApp();
    await expect(stepHandler(app)(message, delivery(1))).resolves.toBeUndefined();
  });
});

describe("A poison handler", () => {
  test("is done with what is no task", async () => {
    const { app } = createTestApp();
    await expect(poisonHandler(app, "start-backup")("not JSON {", delivery(1))).resolves.toBeUndefined();
  });

  test("throws while it would be tried again, and never for good", async () => {
    const app = createApp({}, signal);
    const handle = poisonHandler(app, "start-backup");
    await expect(handle(message, delivery(4))).rejects.toMatchObject({ code: "bad-configuration" });
    const last = delivery(5);
    const logged = vi.spyOn(last, "error").mockImplementation(() => undefined);
    await handle(message, last);
    expect(logged).toHaveBeenCalledWith(expect.stringContaining("poison-given-up queue=start-backup-poison"));
  });
});

describe("The deadline of an invocation", () => {
  test("aborts what takes too long, with a reason that may be tried again", async () => {
    const { app } = createTestApp();
    const waiting = withDeadline(app, 20, (inner) => {
      return new Promise((_, reject) => inner.addEventListener("abort", () => reject(inner.reason as Error)));
    });
    await expect(waiting).rejects.toMatchObject({ code: "deadline-passed", advice: "retry" });
  });

  test("ends with the process", async () => {
    const stopping = new AbortController();
    const app = { ...createTestApp().app, stopping: stopping.signal };
    const waiting = withDeadline(app, 10_000, (inner) => {
      return new Promise((_, reject) => inner.addEventListener("abort", () => reject(inner.reason as Error)));
    });
    stopping.abort(new FarsideError("unavailable", "The app is stopping."));
    await expect(waiting).rejects.toThrow("The app is stopping.");
  });
});
