/** How sizes, times and tables look to people. JSON has bytes and RFC 3339 instead. */
const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** "512 B", "1.5 GiB", "64.0 GiB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Local time, "2026-11-21 08:30:00". */
export function formatTime(instant: string | undefined): string {
  if (instant === undefined) return "-";
  const at = new Date(instant);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

const spans = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
] as const;

/** The two largest units: "26h", "1d 2h", "3m 5s". */
export function formatSeconds(seconds: number | undefined): string {
  if (seconds === undefined) return "-";
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of spans) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: "right";
}

/** Columns two blanks apart, as wide as their widest cell; nothing at the end of a line. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const cells = [
    columns.map((column) => column.title.toUpperCase()),
    ...rows.map((row) => columns.map(({ value }) => printable(value(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, index) =>
        columns[index]?.align === "right" ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** "name:  value" lines, the values below each other. */
export function formatFields(fields: readonly (readonly [string, string | undefined])[]): string {
  const given = fields.filter((field): field is readonly [string, string] => field[1] !== undefined);
  const width = Math.max(...given.map(([name]) => name.length)) + 3;
  return given.map(([name, value]) => `${`${name}:`.padEnd(width)}${printable(value)}\n`).join("");
}

/**
 * Control letters, the line ends of Unicode, and what turns the direction of writing (Unicode, UAX #9, 2.1 to 2.6), by which
 * "exe.txt" is shown for a name that ends otherwise.
 */
const steering = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** What stands in a manifest or a row was written by others: it must not steer the terminal. */
export function printable(text: string): string {
  return text.replaceAll(steering, " ");
}

const shortEscapes: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

/** The same of a file's name: two names that differ look different. `\n`, `\x1b`, `\u{202e}`. */
export function printableName(name: string): string {
  return name.replaceAll(steering, (letter) => {
    const code = letter.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return shortEscapes[letter] ?? (code < 0x80 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`);
  });
}
