import type { Stage } from "./stage.ts";
import type { Step } from "./workload.ts";

/** Resolves with how many seconds it took until `condition` holds; rejects, naming `what`, when it does not in time. */
export type See = (what: string, condition: () => boolean | Promise<boolean>, limitSeconds?: number) => Promise<string>;

/** One act of the demo: something is done, and its effects are waited for. */
export interface Act {
  readonly title: string;
  /** Resolves with what came of it, in a sentence. */
  play(see: See, signal: AbortSignal): Promise<string>;
}

/** Made when the act begins, of what is there then. */
export type BeginAct = (stage: Stage) => Act;

/** A few tasks more are done than now: work goes on. */
export async function seeWorkGoOn(see: See, { ledger }: Stage): Promise<void> {
  const enough = ledger.count("done") + 5;
  await see("tasks are done", () => ledger.count("done") >= enough);
}

/** So many tasks of one project, each of that length. */
export function steps(count: number, step: Step): Step[] {
  return Array.from({ length: count }, () => step);
}
