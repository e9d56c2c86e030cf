/** The clock and the chance of this process. */
import { SystemClock } from "../adapters/local/system-clock.ts";
import { SystemRandom } from "../adapters/local/system-random.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

export const systemClock = (): Clock => new SystemClock();
export const systemRandom = (): Random => new SystemRandom();
