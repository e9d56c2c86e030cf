import { answer, type Check } from "../check.ts";
import { readBytes } from "../sas.ts";

export const repeatedAccess: Check = {
  name: "repeated-access",
  question: "Does beginGetAccess give a snapshot the same SAS again while it has one, and does the first stay good?",
  assumed: "yes: processes that read one snapshot do not disturb one another",
  relies: { file: "shared/adapters/azure/managed/access.ts", line: "The service gives the same URL again" },
  async ask(stage, signal) {
    const { second } = await stage.generations(signal);
    const told: string[] = [];
    let isAssumed = true;
    for (const [what, id] of [
      ["snapshot", second.snapshotId],
      ["restore point", second.diskPointId],
    ] as const) {
      await stage.withSas(
        [id],
        async ([url = ""]) => {
          const again = (await stage.grant(id, signal)).accessSAS ?? "";
          const place = (sas: string): string => sas.split("?")[0] ?? "";
          const isGood = await readBytes(url, { offset: 0, length: 512 }, signal).then(
            () => true,
            () => false,
          );
          isAssumed &&= isGood && again !== "";
          const shown =
            again === url ? "the same" : place(again) === place(url) ? "the same place with another query" : "another";
          told.push(`${what}: ${shown}, the first one is ${isGood ? "still good" : "no longer good"}`);
        },
        signal,
      );
    }
    return answer(isAssumed, told.join("; "));
  },
};
