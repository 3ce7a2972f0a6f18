import { compareModRevision, defaultClient, getOp, putOp, type Term } from "etcd-recipes";
import type { DetachedLease } from "../shared/detached-lease.ts";
import { keys } from "../shared/keys.ts";
import { retry } from "../shared/retry.ts";

export const finalStates = ["done", "cancelled", "dead"] as const;

const states = ["confirming", "running", "retrying", ...finalStates] as const;

/**
 * `confirming`: it must be approved first. `running`: a master has it. `retrying`: after a while another one gets it.
 */
export type TaskState = (typeof states)[number];

/** What stands in etcd of a task. */
export interface Progress {
  readonly state: TaskState;
  readonly pipelineId: string;
  /** How often it has failed. */
  readonly failures: number;
  /** The term in which this was written. */
  readonly token: number;
  /** Which master did it. */
  readonly by?: string;
  /** Why it is not done. */
  readonly reason?: string;
}

/**
 * The record of one task. Every write is guarded twice: by the term, so that a leader of the past cannot change what
 * the next one wrote, and by the record's revision, so that a write that was slow cannot land over a later one of this
 * leader. A final state stays.
 */
export class TaskProgress {
  readonly #term: Term;
  readonly #recordLease: DetachedLease;
  readonly #key: string;
  #revision = 0;

  constructor(taskId: string, term: Term, recordLease: DetachedLease) {
    this.#key = keys.progress + taskId;
    this.#term = term;
    this.#recordLease = recordLease;
  }

  async read(): Promise<Progress | undefined> {
    const kv = await retry(() => defaultClient().get(this.#key), { signal: this.#term.signal });
    this.#revision = kv?.modRevision ?? 0;
    return kv && parsed(kv.text);
  }

  /**
   * @returns what stands there now: what was written, or the final state that was there
   * @throws FencedOutError when the term is over: nothing was written
   */
  async write(progress: Omit<Progress, "token">): Promise<Progress> {
    const record: Progress = { ...progress, token: this.#term.token };
    for (;;) {
      const { succeeded, revision, responses } = await retry(() => this.#put(JSON.stringify(record)), {
        signal: neverAborted,
      });
      if (succeeded) {
        this.#revision = revision;
        return record;
      }
      const [there] = responses;
      const kv = there?.type === "range" ? there.kvs[0] : undefined;
      const found = kv && parsed(kv.text);
      if (found && isFinal(found)) return found;
      this.#revision = kv?.modRevision ?? 0;
    }
  }

  #put(text: string) {
    return this.#recordLease.use((lease) =>
      this.#term.txn({
        compare: [compareModRevision(this.#key, "equal", this.#revision)],
        success: [putOp(this.#key, text, { lease })],
        failure: [getOp(this.#key)],
      }),
    );
  }
}

/** What cannot be read counts as no record, or it would end one leader after the other. */
function parsed(text: string): Progress | undefined {
  try {
    const record: Progress = JSON.parse(text);
    if (!states.includes(record.state)) return undefined;
    return { ...record, failures: Number.isSafeInteger(record.failures) ? Math.max(0, record.failures) : 0 };
  } catch {
    return undefined;
  }
}

/** A write is not given up with the term's signal: that the term is over is what etcd, or the term itself, says. */
const neverAborted = new AbortController().signal;

export function isFinal({ state }: Progress): boolean {
  return finalStates.some((final) => final === state);
}
