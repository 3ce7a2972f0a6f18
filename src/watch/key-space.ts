import type { Protocol } from "../connection/index.ts";
import type { HistoryProofs } from "./history-proof.ts";

/** Where the keys of a feed are, and how etcd is asked about them. */
export interface KeySpace {
  /** What stands before each of them, beyond what the hub's own stream puts there and takes off. */
  readonly namespace: Uint8Array;
  readonly protocol: Protocol;
  readonly proofs: HistoryProofs;
}
