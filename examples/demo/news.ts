import type { EngineEvent } from "./engine-process.ts";

/** The events that the journal lists; the tasks that come and go are counted instead. */
const logged = new Set([
  "registered",
  "lost",
  "draining",
  "left",
  "elected",
  "resigned",
  "overdue",
  "task-done-twice",
  "task-confirming",
  "task-retrying",
  "task-dead",
  "malformed",
  "refused",
  "redis-away",
  "redis-back",
  "cache-cleaned",
]);

/** Who it is from stands beside it already. */
const known = new Set(["at", "source", "event"]);

/** The event as a line, or undefined for what happens all the time. Not safe to print as it is. */
export function worthTelling(event: EngineEvent): string | undefined {
  if (!logged.has(event.event)) return undefined;
  const details = Object.entries(event).filter(([name, value]) => !known.has(name) && value !== undefined);
  return [event.event, ...details.map(([name, value]) => `${name}=${String(value)}`)].join(" ");
}
