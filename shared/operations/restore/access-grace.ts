/** How long after its end a run's clean-up waits for access that was taken away. */
export const accessGraceMs = 24 * 3_600_000;
