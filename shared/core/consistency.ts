/** How whole the disks of a restore point are as one, from best to least. */
export const consistencyLevels = ["application", "filesystem", "crash"] as const;
export type ConsistencyLevel = (typeof consistencyLevels)[number];

/** Whether `achieved` is at least as good as `least`. */
export function satisfies(achieved: ConsistencyLevel, least: ConsistencyLevel): boolean {
  return consistencyLevels.indexOf(achieved) <= consistencyLevels.indexOf(least);
}
