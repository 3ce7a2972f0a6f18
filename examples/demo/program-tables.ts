import { printable } from "../printable.ts";
import { column } from "./column.ts";
import type { EngineProcess } from "./engine-process.ts";
import type { Line } from "./line.ts";
import type { Stage } from "./stage.ts";

/** The masters, those that are gone until others stand in their place. */
export function masterTable({ fleet, services }: Stage): Line[] {
  const listed = new Map(services.list().map((instance) => [instance.id, instance]));
  return [
    { text: row("master", "zone", "weight", "in flight", "done", "state"), style: "dim" },
    ...latest(fleet.masters, 4).map((master): Line => {
      const { id, zone, weight, inFlight, done } = master;
      const [state, style] = stateOf(master, listed.has(id), listed.get(id)?.draining === true);
      const hand = master.state === "dead" ? "-" : String(inFlight.size);
      return { text: row(printable(id), zone, String(weight), hand, String(done), state), style };
    }),
  ];
}

/** In one line: who leads, and by which token. */
export function schedulerLine({ fleet }: Stage): string {
  return latest(fleet.schedulers, 3)
    .map(({ id, token, state, leads }) => {
      const number = id.replace("scheduler-", "");
      if (leads) return `${number} LEADS, token ${token}`;
      return `${number} ${state === "running" ? "follows" : state}`;
    })
    .join("   ");
}

function stateOf({ state }: EngineProcess, isListed: boolean, draining: boolean): [string, NonNullable<Line["style"]>] {
  if (state === "dead") return isListed ? ["dead, still in the list", "red"] : ["dead", "dim"];
  if (state === "left") return ["left", "dim"];
  if (draining || state === "leaving") return ["draining", "yellow"];
  return isListed ? ["in the list", "green"] : ["not in the list", "yellow"];
}

/** All that are there and, as far as there is room, the last ones of those that are not. */
function latest<T extends EngineProcess>(all: readonly T[], room: number): T[] {
  const isGone = ({ state }: T) => state === "dead" || state === "left";
  const there = all.filter((it) => !isGone(it)).length;
  const gone = all.filter(isGone);
  const shown = gone.slice(Math.max(0, gone.length - Math.max(0, room - there)));
  return all.filter((it) => !isGone(it) || shown.includes(it));
}

function row(id: string, zone: string, weight: string, inFlight: string, done: string, state: string): string {
  const numbers = weight.padStart(6) + inFlight.padStart(11) + done.padStart(7);
  return ` ${column(id, 12)}${column(zone, 5)}${numbers}   ${state}`;
}
