/** A number with its noun, for messages: `1 window`, `3 windows`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
