import type { Journal } from "./journal.ts";
import type { Outcome } from "./ledger.ts";

const mostResults = 10;

/** Whether every task came to its end, and none is a dead letter. */
export function addsUp({ submitted, done, cancelled, dead, lost }: Outcome): boolean {
  return lost === 0 && dead === 0 && submitted === done + cancelled;
}

/** What is left to be read: what came of each act, and of the tasks. */
export function summarize(journal: Journal, outcome: Outcome, isOver: boolean): string {
  const { submitted, done, cancelled, dead, lost, twice } = outcome;
  const results = journal.entries.filter(({ source }) => source === "result").map(({ text }) => `  - ${text}`);
  const sum = done + cancelled + dead;
  const ends = [`done ${done}`, `cancelled ${cancelled}`, ...(dead > 0 ? [`dead ${dead}`] : [])].join(" + ");
  return [
    "",
    ...results.slice(-mostResults),
    `summary: submitted ${submitted} ${submitted === sum ? "=" : "!="} ${ends}`,
    `         ${isOver ? "lost" : "broken off: open"} ${lost}, done twice ${twice} (idempotent by id)`,
  ].join("\n");
}
