import { printable } from "../printable.ts";
import { column } from "./column.ts";
import type { Entry, Journal } from "./journal.ts";
import { type Line, paint } from "./line.ts";
import { masterTable, schedulerLine } from "./program-tables.ts";
import type { Stage } from "./stage.ts";
import { tasksLine } from "./tasks-line.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The whole screen, no line longer and not more lines than it has: what is, and below it what happened last. */
export function drawFrame(journal: Journal, stage: Stage | undefined, { columns, rows }: Size): string[] {
  // A character in the last column leaves the cursor in a state that terminals understand differently.
  const width = columns - 1;
  const seconds = ` ${Math.floor(journal.nowMs / 1_000)} s `;
  const title = column(" etcd-recipes: the engine, and what happens when its parts are killed", width - seconds.length);
  const top: Line[] = [
    { text: title + seconds, style: "inverse" },
    { text: ` ${journal.act}`, style: "bold" },
    { text: "" },
    ...(stage ? [...overview(stage), { text: "" }, ...masterTable(stage), { text: "" }] : []),
  ];
  const events = journal.entries.slice(-Math.max(1, rows - top.length)).map(toLine);
  return [...top, ...events].slice(0, rows).map((line) => paint(line, width));
}

function overview(stage: Stage): Line[] {
  const { etcd, tasks, caches } = stage;
  return [
    { text: ` etcd        ${etcd.own ? memberStates(etcd.own) : etcd.endpoints.map(printable).join("   ")}` },
    { text: ` schedulers  ${schedulerLine(stage)}` },
    { text: ` ${column(tasks === "redis" ? "from Redis" : "from etcd", 12)}${tasksLine(stage)}` },
    { text: ` caches      ${caches.projects.map(printable).join(" ")}` },
  ];
}

function memberStates({ members, leader }: NonNullable<Stage["etcd"]["own"]>): string {
  const state = (member: (typeof members)[number]) => (member === leader ? "leads" : "up");
  return members.map((member) => `${member.name} ${member.state === "running" ? state(member) : "DOWN"}`).join("   ");
}

function toLine({ atMs, source, text }: Entry): Line {
  const time = (atMs / 1_000).toFixed(1).padStart(6);
  if (source === undefined) return { text: `${time}  ${text}`, style: "bold" };
  const line = { text: `${time}  ${column(source, 12)} ${text}` };
  return source === "result" ? { ...line, style: "cyan" } : line;
}
