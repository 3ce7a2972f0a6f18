import type { Line } from "./line.ts";
import { column, printable } from "./printable.ts";
import type { Stage } from "./stage.ts";

/** The masters that run or stand in the list, what they did, and the requests that they answered last. */
export function masterTable({ masters, scheduler }: Stage, width: number): Line[] {
  const listed = new Map(scheduler.services.list().map((instance) => [instance.id, instance]));
  // Of those that are gone only the last one: `--forever` kills one in every round.
  const gone = masters.all.filter(({ id, state }) => state !== "running" && !listed.has(id)).slice(-1);
  const known = masters.all.filter((master) => master.state === "running" || gone.includes(master));
  const ids = new Set<string>([...known.map(({ id }) => id), ...listed.keys()]);
  const rows = [...ids].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return [
    { text: `${row("master", "address", "state", "answered", "failed")}latest`, style: "dim" },
    ...rows.map((id): Line => {
      const { answered, failed, latest } = scheduler.tally(id);
      const dead = masters.all.find((master) => master.id === id)?.state === "dead";
      const [state, style] = stateOf(dead, listed.has(id));
      const text = row(id, listed.get(id)?.address ?? "", state, String(answered), String(failed));
      return { text: text + leading(latest, width - text.length), style };
    }),
  ];
}

function stateOf(dead: boolean, listed: boolean): [text: string, style: NonNullable<Line["style"]>] {
  if (dead) return listed ? ["dead, still in it", "red"] : ["dead", "dim"];
  return listed ? ["in the list", "green"] : ["not in the list", "yellow"];
}

function row(id: string, address: string, state: string, answered: string, failed: string): string {
  const texts = column(printable(id), 11) + column(printable(address), 17) + column(state, 18);
  return ` ${texts}${answered.padStart(8)}${failed.padStart(8)}   `;
}

/** As many of the numbers as there is room for, none of them cut. */
function leading(numbers: readonly number[], width: number): string {
  const text = numbers.join(" ");
  return text.length <= width ? text : text.slice(0, text.lastIndexOf(" ", width));
}
