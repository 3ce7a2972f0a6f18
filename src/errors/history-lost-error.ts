import { EtcdError } from "./etcd-error.ts";

/**
 * etcd no longer holds the history that a watch was following: it was wiped or restored. Read again, then watch from
 * there.
 */
export class HistoryLostError extends EtcdError {
  override readonly name = "HistoryLostError";
  readonly code = "ETCD_HISTORY_LOST";
}
