import { answer, type Check } from "../check.ts";
import { pageList } from "../sas.ts";

const mostRanges = 10_000;

export const pages: Check = {
  name: "pages",
  question: "Does Get Page Ranges without maxresults come in pages of 10,000 too, compared and not?",
  assumed: "it may: our call always names maxresults and follows the marker",
  relies: { file: "shared/adapters/azure/managed/page-list.ts", line: 'url.searchParams.set("maxresults"' },
  async ask(stage, signal) {
    const { first, second, written } = await stage.generations(signal);
    return stage.withSas(
      [first.snapshotId, second.snapshotId],
      async ([older = "", newer = ""]) => {
        const compared = await pageList(newer, { previous: older }, signal);
        const whole = await pageList(newer, {}, signal);
        const asked = await pageList(newer, { previous: older, maxResults: mostRanges }, signal);
        const shown = [compared, whole].map(({ status, ranges, marker }) =>
          status === 200
            ? `${ranges.length} ranges ${marker === "" ? "and no marker" : "and a marker"}`
            : `refused (${status})`,
        );
        const found = `of ${written.length} writes, compared: ${shown[0] ?? ""}; not compared: ${shown[1] ?? ""}; with maxresults ${asked.ranges.length}`;
        // What would break us: a page with maxresults that is cut without a marker.
        const isCut = asked.status !== 200 || (asked.ranges.length === mostRanges && asked.marker === "");
        return answer(!isCut, found);
      },
      signal,
    );
  },
};
