import { setTimeout as sleep } from "node:timers/promises";
import { bringMemberBack, killLeadingMember, killMaster, type See, startMaster, steadyState } from "./acts.ts";
import type { Stage } from "./stage.ts";

const onOwnEtcd = [steadyState, killMaster, killLeadingMember, startMaster, bringMemberBack];
const onForeignEtcd = [steadyState, killMaster, startMaster];

/** An act takes at least this long, so that it can be read. */
const shortestActMs = 4_000;
/** Half of it is enough; what takes longer has failed. */
const longestStoryMs = 50_000;
const lookEveryMs = 50;

/**
 * Plays the acts in order; each ends when its effects are seen.
 *
 * @throws Error that says which effect was not seen in time; `signal.reason` when aborted
 */
export async function playStory(stage: Stage, signal: AbortSignal): Promise<void> {
  const acts = stage.etcd.own ? onOwnEtcd : onForeignEtcd;
  const storyDeadline = performance.now() + longestStoryMs;

  const see: See = async (what, condition, limitSeconds = 20) => {
    const deadline = Math.min(storyDeadline, performance.now() + limitSeconds * 1_000);
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`not seen in time: ${what}`);
      await pause(lookEveryMs, signal);
    }
  };

  for (const [index, begin] of acts.entries()) {
    signal.throwIfAborted();
    const { title, play } = begin(stage);
    stage.journal.beginAct(`Act ${index + 1} of ${acts.length}: ${title}`);
    const [result] = await Promise.all([play(see), pause(shortestActMs, signal)]);
    stage.journal.tell("result", result);
  }
}

/** Rejects with the signal's own reason, which says by what the demo was interrupted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
