import type { Stage } from "./stage.ts";

/** How the tasks stand, in one line. */
export function tasksLine({ ledger, fleet }: Pick<Stage, "ledger" | "fleet">): string {
  const queued = ledger.count(undefined);
  const [running, done, cancelled] = [ledger.count("running"), ledger.count("done"), ledger.count("cancelled")];
  return `${queued} queued  ${running} running  ${done} done  ${cancelled} cancelled  ${fleet.retried} retried`;
}
