// Guarded writes: repeated until their outcome is known, and with the room that they need later.
export { callUntilKnown } from "./call-until-known.ts";
export { repeatUntilKnown } from "./repeat-until-known.ts";
export { requestRoom, revisionRoom } from "./request-room.ts";
export { type TxnUntilKnownOptions, txnUntilKnown } from "./txn-until-known.ts";
