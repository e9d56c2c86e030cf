/**
 * The one file that Azure loads. It registers and does nothing else: an error here would take every function away, so that the
 * settings are read only when a function first needs them (`GET /api/health` says what is wrong with them).
 */
import { app as runtime } from "@azure/functions";
import { createApp } from "../shared/compose/app.ts";
import { FarsideError } from "../shared/core/errors.ts";
import { registerFunctions } from "./register.ts";

const stopping = new AbortController();

// The runtime ends the process without waiting for what runs: a step that hears of it stops at its next call.
runtime.hook.appTerminate(() =>
  stopping.abort(new FarsideError("unavailable", "The app is stopping: this is tried again.")),
);

registerFunctions(createApp(process.env, stopping.signal));
