import { cell, columnsOf } from "../cell-text.ts";
import { printable } from "../output.ts";

/** One column of a grid. */
export interface Column<Row> {
  readonly head: string;
  /** Never narrower; what is cut is cut down to this. */
  readonly least: number;
  readonly right?: boolean;
  text(row: Row): string;
}

const GAP = 2;

/**
 * Rows below a head, in lines of exactly `width` columns: each column as wide as its longest text, and where that is
 * too much, the widest ones are cut, then the last ones left out.
 */
export function gridOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  const texts = rows.map((row) => columns.map((column) => printable(column.text(row))));
  const wanted = columns.map(({ head }, at) =>
    texts.reduce((most, row) => Math.max(most, columnsOf(row[at] ?? "")), columnsOf(head)),
  );
  const widths = fitted(
    columns.map(({ least }) => least),
    wanted,
    width,
  );
  const lineOf = (cells: readonly string[]) => {
    const placed = widths.map((columnWidth, at) => {
      const text = cells[at] ?? "";
      const pad = columns[at]?.right ? " ".repeat(Math.max(0, columnWidth - columnsOf(text))) : "";
      return cell(pad + text, columnWidth);
    });
    return cell(placed.join(" ".repeat(GAP)), width);
  };
  return [lineOf(columns.map(({ head }) => head)), ...texts.map(lineOf)];
}

/** The widths of the columns that are shown: the first ones. */
function fitted(least: readonly number[], wanted: readonly number[], width: number): number[] {
  const widths = wanted.map((columns, at) => Math.max(columns, 1, Math.min(least[at] ?? 1, columns)));
  const total = () => widths.reduce((sum, columns) => sum + columns, GAP * (widths.length - 1));
  while (total() > width) {
    const slack = widths.map((columns, at) => columns - (least[at] ?? 1));
    const most = Math.max(...slack);
    if (most <= 0) {
      if (widths.length <= 1) break;
      widths.pop();
      continue;
    }
    const at = slack.indexOf(most);
    widths[at] = (widths[at] ?? 0) - Math.max(1, Math.min(most, Math.ceil((total() - width) / widths.length)));
  }
  return widths;
}
