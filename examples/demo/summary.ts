import type { Journal } from "./journal.ts";
import type { Scheduler } from "./scheduler.ts";

/** What is left to be read: the counts, and what came of each act. */
export function summarize(journal: Journal, counts: Scheduler["counts"]): string {
  const { sent, answered, retried, lost } = counts;
  const results = journal.entries.filter(({ source }) => source === "result").map(({ text }) => `  - ${text}`);
  const line = `summary: sent = ${sent}, answered = ${answered}, retried = ${retried}, lost = ${lost}`;
  return ["", ...results.slice(-5), line].join("\n");
}
