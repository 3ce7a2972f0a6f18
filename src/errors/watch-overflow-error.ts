import { EtcdError } from "./etcd-error.ts";

/** A watch was read more slowly than events came, and its bounded buffer is full. Read again, then watch from there. */
export class WatchOverflowError extends EtcdError {
  override readonly name = "WatchOverflowError";
  readonly code = "ETCD_WATCH_OVERFLOW";
}
