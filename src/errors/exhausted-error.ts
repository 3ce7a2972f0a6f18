import { EtcdError } from "./etcd-error.ts";

/**
 * etcd has no room: its database quota is used up, or it has too many requests in flight (then retryable). What a
 * proxy's limit refuses is an `UnavailableError`.
 *
 * Not guaranteed: that the write which fills the database was not executed, although `outcomeUnknown` is false. etcd
 * looks at its space once more when it executes a write, and then refuses by the same words what it has stored. Those
 * after it are not executed.
 */
export class ExhaustedError extends EtcdError {
  override readonly name = "ExhaustedError";
  readonly code = "ETCD_EXHAUSTED";
}
