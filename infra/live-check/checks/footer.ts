import { answer, type Check } from "../check.ts";
import { blobLength, readBytes } from "../sas.ts";
import { diskBytes } from "../stage.ts";
import { compareWith } from "./compare.ts";

const footerBytes = 512;

export const footer: Check = {
  name: "footer",
  question:
    "Does the blob behind a SAS end with a VHD footer beyond the disk's size, and is that ever listed as changed?",
  assumed: "512 bytes more than the disk that begin with conectix; not listed, and never read",
  relies: {
    file: "shared/adapters/azure/managed/restore-points.ts",
    line: "found.properties.diskSizeBytes ?? disk.sizeBytes",
  },
  async ask(stage, signal) {
    const { first, second, written } = await stage.generations(signal);
    return stage.withSas(
      [first.snapshotId, second.snapshotId],
      async ([older = "", newer = ""]) => {
        const length = await blobLength(newer, signal);
        const span = { offset: length - footerBytes, length: footerBytes };
        const [old, now] = [await readBytes(older, span, signal), await readBytes(newer, span, signal)];
        const cookie = Buffer.from(now.subarray(0, 8)).toString("latin1");
        const { footer: isListed } = await compareWith(older, newer, written, signal);
        const same = Buffer.from(old).equals(Buffer.from(now));
        const found = `${length - diskBytes} bytes more than the disk, beginning with ${JSON.stringify(cookie)}, ${same ? "the same" : "another one"} in both, ${isListed ? "listed" : "not listed"} as changed`;
        return answer(length === diskBytes + footerBytes && cookie === "conectix" && !isListed, found);
      },
      signal,
    );
  },
};
