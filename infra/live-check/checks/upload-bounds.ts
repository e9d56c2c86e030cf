import { answer, type Check } from "../check.ts";
import { refusalOf } from "../platform-error.ts";

const mebibyte = 1024 ** 2;
const footerBytes = 512;

export const uploadBounds: Check = {
  name: "upload-bounds",
  question: "Which uploadSizeBytes are taken: the documented least, less, and a size that is no whole MiB?",
  assumed: "20 MiB and the footer are; less is refused",
  relies: { file: "shared/adapters/azure/managed/machine/plan-disk.ts", line: "const leastBytes" },
  async ask(stage, signal) {
    const tried: (readonly [what: string, bytes: number])[] = [
      ["20 MiB and the footer", 20 * mebibyte + footerBytes],
      ["512 bytes less", 20 * mebibyte],
      ["512 bytes more", 20 * mebibyte + 2 * footerBytes],
    ];
    const told: string[] = [];
    const taken: boolean[] = [];
    for (const [index, [what, uploadSizeBytes]] of tried.entries()) {
      const creationData = { createOption: "Upload", uploadSizeBytes };
      const refusal = await refusalOf(() => stage.ownDisk(`bound-${index}`, { creationData }, signal), signal);
      taken.push(refusal === undefined);
      told.push(`${what}: ${refusal === undefined ? "taken" : refusal.shown}`);
    }
    return answer(taken[0] === true && taken[1] === false, told.join("; "));
  },
};
