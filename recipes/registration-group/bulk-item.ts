import {
  compareModRevision,
  deleteOp,
  getOp,
  type KeyValue,
  type LeaseId,
  type Op,
  putOp,
  txnOp,
} from "../../src/index.ts";
import { registrationRoom } from "../registration-format/internal.ts";

/** One step on one key. `over`: the modRevision that the key must still have, 0 for a missing one. */
export type BulkStep =
  | { readonly type: "put"; readonly over: number; readonly text: string; readonly lease: LeaseId }
  | { readonly type: "delete"; readonly over: number }
  | { readonly type: "look" };

/** One key that wants something of etcd. */
export interface BulkItem {
  readonly key: string;
  readonly needsLease: boolean;
  /** What to do next, asked for just before it is sent; undefined: nothing any more. */
  next(lease: LeaseId | undefined): BulkStep | undefined;
  /** The step was done, at this revision. */
  done(revision: number): void;
  /** The key is not as the step wanted it, or was looked at: this is what etcd has instead. */
  found(kv: KeyValue | undefined, revision: number): void;
  /** The step may have been done or not; it is asked for again. */
  failed(error: Error): void;
  /** etcd refuses this step alone. @returns whether to ask for it again, after a while */
  refused(error: Error): boolean;
}

/** The step as one operation, guarded by what is known of the key. */
export function toOp(key: string, step: BulkStep): Op {
  if (step.type === "look") return getOp(key);
  return txnOp({
    compare: [compareModRevision(key, "equal", step.over)],
    success: [step.type === "put" ? putOp(key, step.text, { lease: step.lease }) : deleteOp(key)],
    failure: [getOp(key)],
  });
}

/** What later steps on the key will add: see `registrationRoom()`. */
export function roomFor(key: string, step: BulkStep): readonly Op[] {
  return step.type === "put" ? registrationRoom(key, step.text, step.over) : [];
}
