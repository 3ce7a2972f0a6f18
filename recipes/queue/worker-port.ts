import type { Lease } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** What a queue reports of its worker. */
export type QueueNews =
  | { readonly type: "warning" | "failed"; readonly error: Error }
  | { readonly type: "dead"; readonly letter: DeadLetter };

/** What happens in the parts of a worker. */
export type WorkerNews =
  /** A job was given back at this revision. */
  | { readonly type: "released"; readonly revision: number }
  /** An ack is on its way to etcd. */
  | { readonly type: "acking" }
  /** It has ended, however it did. */
  | { readonly type: "acked" }
  /** A job is not in hand any more, or is not being ended any more: what stands under its id may be free. */
  | { readonly type: "settled" }
  /** A job is being given back. */
  | { readonly type: "releasing" }
  /** A claim for which no call waited is given back, or that was given up. */
  | { readonly type: "undone" }
  /** Etcd does not have the worker's key on this lease any more. */
  | { readonly type: "ended"; readonly lease: Lease }
  /** A claim was over before its answer was here: what stands there now may be one of its worker's again. */
  | { readonly type: "overtaken" }
  /** Its attempts are used up. */
  | { readonly type: "dead"; readonly letter: DeadLetter }
  /** Something went wrong that concerns one job. */
  | { readonly type: "warning"; readonly error: Error }
  /** Something on this lease failed, maybe for good. */
  | { readonly type: "failure"; readonly error: unknown; readonly lease: Lease };

/** What all parts of a queue's worker know of it, and where they report what happens. */
export interface WorkerPort {
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly maxAttempts: number;
  /** How what is written on a lease is repeated. */
  writes(lease: Lease): TxnUntilKnownOptions;
  onNews(news: WorkerNews): void;
}
