import { cell } from "../cell-text.ts";
import { durationText } from "../duration.ts";
import { type Column, gridOf } from "./grid.ts";
import { shareRows } from "./share-rows.ts";
import type { LineSection, QueueSection, Section, ServiceRow, ServicesSection, Snapshot } from "./snapshot.ts";

export interface ViewSize {
  readonly columns: number;
  /** Infinity: all rows are shown. */
  readonly rows: number;
  /** How many rows of long sections are left out above. @default 0 */
  readonly scrolled?: number;
}

/** What a line is, for those who colour it. */
export type LineKind = "title" | "stale" | "section" | "head" | "draining" | "row" | "help";

export interface ViewLine {
  readonly kind: LineKind;
  /** Printable, and not longer than the screen is wide. */
  readonly text: string;
}

const HELP = "q ends, arrows and pages scroll";

/** Rows of a panel that are worth more than a line of space between panels. */
const FEW = 5;

/** Sections of one kind and one table. */
interface Panel {
  readonly title: string;
  /** The head of the table, then its rows. */
  readonly count: number;
  lines(first: number, count: number): ViewLine[];
}

const serviceColumns: readonly Column<ServiceRow>[] = [
  { head: "ID", least: 12, text: ({ id }) => id },
  { head: "ADDRESS", least: 12, text: ({ address }) => address },
  { head: "WEIGHT", least: 6, right: true, text: ({ weight }) => String(weight) },
  { head: "ZONE", least: 4, text: ({ zone }) => zone ?? "" },
  { head: "STATE", least: 8, text: ({ draining }) => (draining ? "draining" : "serves") },
  {
    head: "AGE",
    least: 7,
    right: true,
    text: ({ ageMs, olderThanAge }) => `${olderThanAge ? ">" : ""}${durationText(ageMs)}`,
  },
];

const lineColumns: readonly Column<LineSection>[] = [
  { head: "NAME", least: 10, text: ({ name }) => name },
  { head: "HELD BY", least: 10, text: ({ head }) => head?.who ?? "(free)" },
  { head: "TOKEN", least: 5, right: true, text: ({ head }) => (head ? String(head.token) : "") },
  { head: "LEASE LEFT", least: 10, right: true, text: ({ head }) => leftText(head?.leaseLeftMs) },
  { head: "WAIT", least: 4, right: true, text: ({ waiting }) => String(waiting.length) },
  { head: "NEXT", least: 8, text: ({ waiting }) => waiting.join(", ") },
];

const queueColumns: readonly Column<QueueSection>[] = [
  { head: "NAME", least: 10, text: ({ name }) => name },
  { head: "JOBS", least: 4, right: true, text: ({ jobs }) => String(jobs) },
  { head: "DEAD", least: 4, right: true, text: ({ dead }) => String(dead) },
  { head: "WORKERS", least: 7, right: true, text: ({ workers }) => String(workers) },
  { head: "IDLE", least: 4, right: true, text: ({ idleWorkers }) => String(idleWorkers) },
];

/** What of a snapshot there is room for. */
interface Layout {
  readonly top: readonly ViewLine[];
  readonly panels: readonly Panel[];
  /** How many rows of each panel are shown. */
  readonly shares: readonly number[];
  /** Whether there is a line of space before each panel. */
  readonly spaced: boolean;
}

function layoutOf(snapshot: Snapshot, where: string, { columns, rows }: ViewSize): Layout {
  const panels = panelsOf(snapshot.sections, columns);
  const top = headline(snapshot, where, columns);
  // Each has a title and a head; below all there is the help.
  const least = top.length + panels.length * 2 + 1;
  const wanted = panels.reduce((sum, { count }) => sum + Math.min(count, FEW), least + panels.length);
  const spaced = rows >= wanted;
  const frame = spaced ? least + panels.length : least;
  const shares = shareRows(
    rows - frame,
    panels.map(({ count }) => count),
  );
  return { top, panels, shares, spaced };
}

/** From there on the last rows of all sections are shown: who scrolls on scrolls in vain. */
export function mostScrolled(snapshot: Snapshot, where: string, size: ViewSize): number {
  const { panels, shares } = layoutOf(snapshot, where, size);
  return Math.max(0, ...panels.map(({ count }, at) => count - (shares[at] ?? 0)));
}

/** Draws a snapshot: no more lines than there are rows, none wider than the screen. */
export function viewOf(snapshot: Snapshot, where: string, size: ViewSize): ViewLine[] {
  const { columns, rows, scrolled = 0 } = size;
  const { top, panels, shares, spaced } = layoutOf(snapshot, where, size);
  const lines = [...top];
  for (const [at, panel] of panels.entries()) {
    const share = shares[at] ?? 0;
    const first = Math.max(0, Math.min(scrolled, panel.count - share));
    if (spaced) lines.push({ kind: "row", text: "" });
    lines.push({ kind: "section", text: cell(panel.title + partOf(first, share, panel.count), columns).trimEnd() });
    lines.push(...panel.lines(first, share));
  }
  if (rows === Number.POSITIVE_INFINITY) return lines;
  const shown = lines.slice(0, Math.max(0, rows - 1));
  while (shown.length < rows - 1) shown.push({ kind: "row", text: "" });
  return [...shown, { kind: "help", text: cell(HELP, columns).trimEnd() }];
}

function headline({ ageMs, problem }: Snapshot, where: string, columns: number): ViewLine[] {
  const title = `etcd-recipes top  ${where}`;
  // A list that has just come is not proved to be live yet.
  if (ageMs < 1_000 && problem === undefined) return [{ kind: "title", text: cell(title, columns).trimEnd() }];
  const why = problem === undefined ? "" : `: ${problem}`;
  const text = `etcd is away; this is ${durationText(ageMs)} old${why}`;
  return [
    { kind: "title", text: cell(title, columns).trimEnd() },
    { kind: "stale", text: cell(text, columns).trimEnd() },
  ];
}

function panelsOf(sections: readonly Section[], columns: number): Panel[] {
  const panels: Panel[] = [];
  for (const section of sections) if (section.type === "services") panels.push(servicesPanel(section, columns));
  const elections = sections.filter((section): section is LineSection => section.type === "election");
  const locks = sections.filter((section): section is LineSection => section.type === "lock");
  const queues = sections.filter((section): section is QueueSection => section.type === "queue");
  if (elections.length > 0) panels.push(panelOf("LEADERS", lineColumns, elections, columns));
  if (locks.length > 0) panels.push(panelOf("LOCKS", lineColumns, locks, columns));
  if (queues.length > 0) panels.push(panelOf("QUEUES", queueColumns, queues, columns));
  return panels;
}

function servicesPanel({ name, rows }: ServicesSection, columns: number): Panel {
  const draining = rows.reduce((sum, row) => sum + Number(row.draining), 0);
  const some = draining > 0 ? `, ${draining} draining` : "";
  return panelOf(`SERVICES ${name}  ${rows.length}${some}`, serviceColumns, rows, columns, (row) =>
    row.draining ? "draining" : "row",
  );
}

function panelOf<Row>(
  title: string,
  table: readonly Column<Row>[],
  rows: readonly Row[],
  columns: number,
  kindOf: (row: Row) => LineKind = () => "row",
): Panel {
  return {
    title,
    count: rows.length,
    lines(first, count) {
      const shown = rows.slice(first, first + count);
      const [head = "", ...lines] = gridOf(table, shown, columns);
      return [
        { kind: "head", text: head.trimEnd() },
        ...lines.map((text, at) => ({ kind: kindOf(shown[at] as Row), text: text.trimEnd() })),
      ];
    },
  };
}

/** Which rows are shown, unless all are. */
function partOf(first: number, shown: number, count: number): string {
  if (shown >= count) return "";
  return shown === 0 ? `  no room for ${count}` : `  ${first + 1} to ${first + shown} of ${count}`;
}

function leftText(leaseLeftMs: number | undefined): string {
  return leaseLeftMs === undefined ? "" : durationText(leaseLeftMs);
}
