import { EtcdError } from "./etcd-error.ts";

/**
 * etcd has no room: its database quota is used up, or it has too many requests in flight (then retryable). What a
 * proxy's limit refuses is an `UnavailableError`.
 */
export class ExhaustedError extends EtcdError {
  override readonly name = "ExhaustedError";
  readonly code = "ETCD_EXHAUSTED";
}
