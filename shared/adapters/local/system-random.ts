import { getRandomValues } from "node:crypto";
import type { Random } from "../../ports/random.ts";

export class SystemRandom implements Random {
  bytes(count: number): Uint8Array<ArrayBuffer> {
    return getRandomValues(new Uint8Array(count));
  }
}
