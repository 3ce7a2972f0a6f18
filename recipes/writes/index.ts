// Guarded writes that are repeated until their outcome is known, and the room that they need later.
export { insist } from "./insist.ts";
export { type PersistentTxnOptions, persistentTxn } from "./persistent-txn.ts";
export { requestRoom, revisionRoom } from "./request-room.ts";
