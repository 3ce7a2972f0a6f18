import { pause } from "../engine/shared/retry.ts";
import type { BeginAct, See } from "./acts.ts";
import { killMember } from "./etcd-acts.ts";
import { cancelPipeline, confirmTasks, expireCache } from "./pipeline-acts.ts";
import { drainMaster, killLeader, killMaster, tasksFlow } from "./program-acts.ts";
import type { Stage } from "./stage.ts";

const failures = [killMaster, drainMaster, killLeader];
const withTasks = [cancelPipeline, confirmTasks, expireCache];

/** An act takes at least this long, so that it can be read. */
const shortestActMs = 4_500;
const lookEveryMs = 50;

/**
 * Plays the acts in order; each ends when its effects are seen. In the end every task is waited for.
 *
 * @throws Error that says which effect was not seen in time; `signal.reason` when aborted
 */
export async function playStory(stage: Stage, signal: AbortSignal): Promise<void> {
  const acts = [tasksFlow, ...failures, ...(stage.etcd.own ? [killMember] : []), ...withTasks];
  for (const [index, begin] of acts.entries()) {
    await playAct(stage, `Act ${index + 1} of ${acts.length}`, begin, signal);
  }
  await stage.workload.stop();
  await seeUntil(signal)("all tasks are over", () => stage.ledger.open === 0, 30);
}

/** One of the failures at a time, for ever. @throws as `playStory` */
export async function playForever(stage: Stage, signal: AbortSignal): Promise<never> {
  const acts = [...failures, ...(stage.etcd.own ? [killMember] : []), ...withTasks];
  await playAct(stage, "Act 1", tasksFlow, signal);
  for (let number = 2; ; number++) {
    const begin = acts[Math.floor(Math.random() * acts.length)] ?? killMaster;
    await playAct(stage, `Act ${number}`, begin, signal);
  }
}

async function playAct(stage: Stage, number: string, begin: BeginAct, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { title, play } = begin(stage);
  stage.journal.beginAct(`${number}: ${title}`);
  const [result] = await Promise.all([play(seeUntil(signal), signal), pause(shortestActMs, signal)]);
  stage.journal.log("result", result);
}

function seeUntil(signal: AbortSignal): See {
  return async (what, condition, limitSeconds = 20) => {
    const startedMs = performance.now();
    const elapsedMs = () => performance.now() - startedMs;
    while (!(await condition())) {
      if (elapsedMs() > limitSeconds * 1_000) throw new Error(`not seen within ${limitSeconds} s: ${what}`);
      await pause(lookEveryMs, signal);
    }
    return (elapsedMs() / 1_000).toFixed(1);
  };
}
