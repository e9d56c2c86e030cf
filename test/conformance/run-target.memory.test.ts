import { describe } from "vitest";
import { MemoryDiskTarget } from "../../shared/adapters/memory/memory-disk-target.ts";
import { readImage } from "../../shared/adapters/memory/sparse-image.ts";
import { runTargetConformance } from "./run-target.suite.ts";

describe("Memory as the target of runs", () => {
  runTargetConformance(async () => {
    const target = new MemoryDiskTarget();
    return Promise.resolve({
      target,
      place: "https://target.example/restored",
      standing: async ({ url }) => {
        const image = target.finished(url);
        return Promise.resolve(image && Buffer.from(readImage(image, 0, image.sizeBytes)));
      },
      occupy: async ({ url }, content) => Promise.resolve(target.occupy(url, content.length, content)),
      use: async ({ url }, inUse) => Promise.resolve(void (inUse ? target.inUse.add(url) : target.inUse.delete(url))),
      keptAt: async () => Promise.resolve(target.keeping().length),
    });
  });
});
