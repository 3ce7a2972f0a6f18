import { deleteOp, getOp, type LeaseId, type Op, putOp } from "../../src/index.ts";
import { registrationRoom } from "../registration-format/internal.ts";
import { type KeyAsKnown, laterCompareBytes, opIfUnchanged } from "../writes/index.ts";

/** One step on one key. `over`: as the key must still be; undefined: missing. */
export type KeyStep =
  | { readonly type: "put"; readonly over: KeyAsKnown | undefined; readonly text: string; readonly lease: LeaseId }
  | { readonly type: "delete"; readonly over: KeyAsKnown }
  | { readonly type: "look" };

/** The step without its guard. */
export function opOf(key: string, step: KeyStep): Op {
  if (step.type === "look") return getOp(key);
  return step.type === "put" ? putOp(key, step.text, { lease: step.lease }) : deleteOp(key);
}

/** The step as one operation, guarded by what is known of the key. */
export function guardedOp(key: string, step: KeyStep): Op {
  const op = opOf(key, step);
  return step.type === "look" ? op : opIfUnchanged(key, step.over, op);
}

/** What later steps on the key will add: see `registrationRoom()`. */
export function roomFor(key: string, step: KeyStep): readonly Op[] {
  if (step.type !== "put") return [];
  const later = laterCompareBytes(key, step.over);
  return registrationRoom(key, step.text, step.over?.modRevision ?? 0, later);
}
