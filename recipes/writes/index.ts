// Guarded writes: of a key that is as it was known, repeated until their outcome is known, with the room that they need
// later.
export { callUntilKnown } from "./call-until-known.ts";
export { changeKey } from "./change-key.ts";
export { deleteIfUnchanged } from "./delete-if-unchanged.ts";
export { isAsKnown, type KeyAsKnown, laterCompareBytes } from "./is-as-known.ts";
export { foundBy, opIfUnchanged } from "./op-if-unchanged.ts";
export { type GuardedPut, putIfUnchanged } from "./put-if-unchanged.ts";
export { requestRoom, revisionRoom } from "./request-room.ts";
export { type TxnUntilKnownOptions, txnUntilKnown } from "./txn-until-known.ts";
