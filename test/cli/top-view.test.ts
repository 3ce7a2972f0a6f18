import { expect, test } from "vitest";
import { cell, columnsOf } from "../../cli/cell-text.ts";
import { gridOf } from "../../cli/top/grid.ts";
import { shareRows } from "../../cli/top/share-rows.ts";
import type { Section, Snapshot } from "../../cli/top/snapshot.ts";
import { mostScrolled, viewOf } from "../../cli/top/view.ts";

test.each([
  ["short", 8, "short   "],
  ["exactly!", 8, "exactly!"],
  ["longer than it", 8, "longer …"],
  ["服务注册中心", 8, "服务注… "],
  ["e\u0301te\u0301", 4, "e\u0301te\u0301 "],
  ["a\u001b[2Jb", 20, "a\\u{1b}[2Jb         "],
  ["anything", 0, ""],
  ["anything", 1, "…"],
])("%j in %i columns is %j", (text, columns, expected) => {
  expect(cell(text, columns)).toBe(expected);
  expect(columnsOf(expected)).toBe(columns);
});

test.each([
  [10, [3, 4], [3, 4]],
  [10, [100, 100], [5, 5]],
  [10, [2, 100], [2, 8]],
  [11, [100, 1, 100], [5, 1, 5]],
  [2, [5, 5, 5], [1, 1, 0]],
  [0, [5], [0]],
  [-4, [5], [0]],
])("%i lines for those that need %j are %j", (lines, needs, shares) => {
  expect(shareRows(lines, needs)).toEqual(shares);
});

test("a grid has room for more rows than a function has arguments", () => {
  const rows = Array.from({ length: 200_000 }, (_, at) => ({ id: `m${at}` }));
  const [head, first] = gridOf([{ head: "ID", least: 2, text: ({ id }: { id: string }) => id }], rows, 20);
  expect([head, first]).toEqual(["ID".padEnd(20), "m0".padEnd(20)]);
});

const sections: readonly Section[] = [
  {
    type: "services",
    name: "/svc/",
    rows: Array.from({ length: 50_000 }, (_, at) => ({
      id: `m${at}-${"x".repeat(at % 150)}`,
      address: `10.0.${at >> 8}.${at % 256}:8080`,
      weight: at % 10,
      zone: at % 3 === 0 ? undefined : `zone-${at % 3}`,
      draining: at % 1_000 === 0,
      ageMs: at * 1_000,
      olderThanAge: at % 2 === 0,
    })),
  },
  {
    type: "election",
    name: "/leader",
    head: { who: "anna\nberta", token: 7, leaseLeftMs: 4_000 },
    waiting: ["carla".repeat(50)],
  },
  { type: "lock", name: "/lock", head: undefined, waiting: [] },
  { type: "queue", name: "/队列", jobs: 50_000, dead: 1, workers: 3, idleWorkers: 0 },
];

test("scrolling ends where the last rows are seen", () => {
  const snapshot: Snapshot = { sections, ageMs: 0, problem: undefined };
  const size = { columns: 100, rows: 30 };
  const most = mostScrolled(snapshot, "here", size);
  const at = (scrolled: number) => viewOf(snapshot, "here", { ...size, scrolled });
  expect(at(most)).toEqual(at(50_000));
  expect(at(most - 1)).not.toEqual(at(most));
  expect(mostScrolled({ ...snapshot, sections: sections.slice(1) }, "here", size)).toBe(0);
});

test.each([
  [100, 30],
  [80, 24],
  [40, 12],
  [20, 5],
  [1, 1],
])("a screen of %i x %i is filled, and no line is too wide, of 50 000 services", (columns, rows) => {
  const snapshot: Snapshot = { sections, ageMs: 12_345, problem: "connect\u001b[2J ECONNREFUSED" };
  const lines = viewOf(snapshot, "http://127.0.0.1:2379", { columns, rows, scrolled: 49_999 });
  expect(lines.length).toBe(rows);
  for (const { text } of lines) expect(columnsOf(text), text).toBeLessThanOrEqual(columns);
  expect(lines.map(({ text }) => text).join("")).not.toContain("\u001b");
  if (rows < 24) return;
  const text = lines.map((line) => line.text).join("\n");
  expect(text).toContain("etcd is away; this is 12s old: connect\\u{1b}[2J ECONNREFUSED");
  expect(text).toMatch(/SERVICES \/svc\/ {2}50000, 50 draining {2}\d+ to 50000 of 50000/);
  expect(text).toMatch(/^m49999-x*… +10\.0\.195\.79:8080 +9 +zone-1 +serves +13h 53m$/m);
  expect(text).toMatch(/^\/lock +\(free\) +0$/m);
});
