import type { CallOptions } from "../../src/index.ts";
import { type Runtime, uniqueNumber } from "../../src/internal/index.ts";
import { NotRequestedError } from "../errors/index.ts";
import { callUntilKnown } from "../writes/index.ts";
import { AlreadyDecidedError } from "./already-decided-error.ts";
import type { ConfirmationResult } from "./confirmation-result.ts";
import type { ConfirmationStore } from "./confirmation-store.ts";
import { type DecisionRecord, readDecision } from "./records.ts";

export function newDecision(runtime: Runtime, result: ConfirmationResult): DecisionRecord {
  return { ...result, decidedAt: runtime.clock.wallMs(), nonce: uniqueNumber(runtime).toString(16) };
}

/**
 * Decides a confirmation, if it is still open. A write whose outcome is unknown is known again by its
 * nonce.
 *
 * @throws AlreadyDecidedError; NotRequestedError; InvalidValueError for a decision that cannot be read;
 *   EtcdTimeoutError; `signal.reason`
 */
export async function decideFor(
  store: ConfirmationStore,
  id: string,
  result: ConfirmationResult,
  options: CallOptions,
): Promise<void> {
  const own = newDecision(store.runtime, result);
  const found = await callUntilKnown(`deciding ${id}`, store.etcd, options, async (call) => {
    for (;;) {
      const state = await store.read(id, call);
      if (state.decision) return state.decision;
      if (state.pending) {
        if (await store.decide(id, state, own, "there", call)) return "decided";
      } else if (state.request) {
        // Its time is over and that was not written yet. The next look shows the decision that counts.
        await store.decide(id, state, newDecision(store.runtime, { decision: "timeout" }), "gone", call);
      } else {
        return "missing";
      }
    }
  });
  if (found === "decided") return;
  if (found === "missing") {
    throw new NotRequestedError(`there is no request for ${id}, or etcd no longer knows of it`);
  }
  const there = readDecision(found);
  if (there.nonce !== own.nonce) throw new AlreadyDecidedError(id, there.result);
}
