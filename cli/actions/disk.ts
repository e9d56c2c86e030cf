import { resolve } from "node:path";
import { pageBlobTarget, withDiskImage } from "../../shared/compose/disk-image.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import type { AccountAccess } from "../../shared/config/storage.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseDiskName, parseRunId, quote } from "../../shared/core/ids.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { importDisk as importImage } from "../../shared/operations/manage/import-disk.ts";
import { formatBytes } from "../format.ts";
import { Progress } from "../progress.ts";
import { accountsAccess } from "../settings.ts";
import type { Verb } from "../verb.ts";

const container = "disks";

export async function importDisk(
  verb: Verb,
  file: string,
  nameText: string,
  options: { readonly account?: string },
): Promise<void> {
  const name = parseDiskName(nameText);
  const account = chooseAccount(accountsAccess(verb), options.account);
  await withDiskImage(resolve(verb.shell.cwd, file), async (image) => {
    const target = await pageBlobTarget(account);
    const place = {
      name,
      sizeBytes: image.sizeBytes,
      url: target.locate(`${account.blobEndpoint}/${container}`, name),
    };
    const progress = new Progress(verb.output, name, image.sizeBytes);
    const runId = parseRunId(ulid(systemClock().now(), systemRandom().bytes(10)));
    try {
      await importImage(target, { image, place, runId, onProgress: (bytes) => progress.add(bytes) }, verb.signal);
    } finally {
      progress.end();
    }
    const { url, sizeBytes } = place;
    verb.output.done({ name, url, sizeBytes }, `Imported ${name} (${formatBytes(sizeBytes)}): ${url}`);
  });
}

/** Called by the name of its setting or by its own; without one the only one, or the one called `source`. */
function chooseAccount(accounts: readonly AccountAccess[], wanted: string | undefined): AccountAccess {
  const labels = accounts.map((account) => account.label).join(", ");
  if (wanted !== undefined) {
    const found = accounts.find(({ label, account }) => label === wanted.toLowerCase() || account === wanted);
    if (found !== undefined) return found;
    throw new FarsideError("not-found", `There is no configured account ${quote(wanted)}: give one of ${labels}.`, {
      details: { account: wanted },
    });
  }
  const found = accounts.length === 1 ? accounts[0] : accounts.find(({ label }) => label === "source");
  if (found !== undefined) return found;
  throw new FarsideError("bad-input", `There are several accounts: choose one with --account (${labels}).`);
}
