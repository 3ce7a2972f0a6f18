import type { Lease } from "../../src/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import type { DeadLetter } from "./dead-letters.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** What all parts of a queue's worker know of it, and whom they tell what happens. */
export interface WorkerPort {
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly maxAttempts: number;
  /** How what is written on a lease is repeated. */
  writes(lease: Lease): TxnUntilKnownOptions;
  /** A job was given back at this revision. */
  onReleased(revision: number): void;
  onDead(letter: DeadLetter): void;
  /** Something went wrong that concerns one job. */
  onWarning(error: Error): void;
  /** Something on this lease failed, maybe for good. */
  onError(error: unknown, lease: Lease): void;
}
