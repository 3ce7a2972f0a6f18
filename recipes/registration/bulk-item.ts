import type { KeyValue, LeaseId } from "../../src/index.ts";
import type { KeyStep } from "./key-step.ts";

/** One key that wants something of etcd. */
export interface BulkItem {
  readonly key: string;
  readonly needsLease: boolean;
  /** What to do next, asked for just before it is sent; undefined: nothing any more. */
  next(lease: LeaseId | undefined): KeyStep | undefined;
  /** The step was done, at this revision. */
  done(revision: number): void;
  /** The key is not as the step wanted it, or was looked at: this is what etcd has instead. */
  found(kv: KeyValue | undefined, revision: number): void;
  /** The step may have been done or not; it is asked for again. */
  failed(error: Error): void;
  /** etcd refuses this step alone, or it can be no operation. @returns whether to ask for it again, after a while */
  refused(error: Error): boolean;
}
