/** The clock and the chance of this process. */
import { systemClock as clock } from "../adapters/local/system-clock.ts";
import { systemRandom as random } from "../adapters/local/system-random.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

export const systemClock = (): Clock => clock;
export const systemRandom = (): Random => random;
