import { EtcdError } from "./etcd-error.ts";

/**
 * etcd has no room: its database quota is used up, or it has too many requests in flight (then retryable). What a
 * proxy's limit refuses is an `UnavailableError`.
 *
 * A put, a txn with one, or a grant that the quota refuses has `outcomeUnknown: true`: etcd looks at its space once
 * more when it executes a write, and then refuses by the same words what it has stored. Deletions are not refused,
 * unless they travel with puts (`autoBatch`), which they do not after the first refusal. Nor are the puts of a txn
 * within a txn, which etcd does not count (seen on 3.4.23 and 3.5.16).
 */
export class ExhaustedError extends EtcdError {
  override readonly name = "ExhaustedError";
  readonly code = "ETCD_EXHAUSTED";
}
