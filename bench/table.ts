/** Columns of text, the first to the left and the others to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(" | ")} |`;
  console.log(line(head));
  console.log(`|${widths.map((width, at) => `${"-".repeat(width + 1)}${at === 0 ? "-" : ":"}`).join("|")}|`);
  for (const row of rows) console.log(line(row));
}

/** `5 200 000`, `10` and `0.310`: three digits that count. */
export function figure(value: number): string {
  if (value >= 100) {
    const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 2);
    return String(Math.round(value / unit) * unit).replaceAll(/\B(?=(\d{3})+$)/g, " ");
  }
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}
