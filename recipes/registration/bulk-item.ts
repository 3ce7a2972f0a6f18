import { deleteOp, getOp, type KeyValue, type LeaseId, type Op, putOp } from "../../src/index.ts";
import { registrationRoom } from "../registration-format/internal.ts";
import { laterCompareBytes, opIfUnchanged } from "../writes/index.ts";

/** What the key must still be for a write to be done. */
export type KeyAsKnown = Pick<KeyValue, "modRevision" | "lease">;

/** One step on one key. `over`: as the key must still be; undefined: missing. */
export type BulkStep =
  | { readonly type: "put"; readonly over: KeyAsKnown | undefined; readonly text: string; readonly lease: LeaseId }
  | { readonly type: "delete"; readonly over: KeyAsKnown }
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

/** The step without its guard. */
export function opOf(key: string, step: BulkStep): Op {
  if (step.type === "look") return getOp(key);
  return step.type === "put" ? putOp(key, step.text, { lease: step.lease }) : deleteOp(key);
}

/** The step as one operation, guarded by what is known of the key. */
export function guardedOp(key: string, step: BulkStep): Op {
  const op = opOf(key, step);
  return step.type === "look" ? op : opIfUnchanged(key, step.over, op);
}

/** What later steps on the key will add: see `registrationRoom()`. */
export function roomFor(key: string, step: BulkStep): readonly Op[] {
  if (step.type !== "put") return [];
  const later = laterCompareBytes(key, step.over);
  return registrationRoom(key, step.text, step.over?.modRevision ?? 0, later);
}
