/** Disks that the VM had and a restore point leaves out, as the captured configuration tells (docs/azure.md, "Which disks"). */
import { z } from "zod";
import type { JsonObject } from "./document.ts";

const excludedDisk = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(["os", "data"]),
  lun: z.int().optional(),
  reason: z.string(),
});
export type ExcludedDisk = z.output<typeof excludedDisk>;

/** None for a point written before disks could be left out, and for what a later release writes in another way. */
export function parseExcludedDisks(document: JsonObject): readonly ExcludedDisk[] {
  const parsed = z.array(excludedDisk).safeParse(document["excludedDisks"]);
  return parsed.success ? parsed.data : [];
}
