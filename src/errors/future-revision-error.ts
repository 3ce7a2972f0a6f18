import { EtcdError } from "./etcd-error.ts";

/** A read asked for a revision that etcd has not reached: it was restored from an older state, or wiped. */
export class FutureRevisionError extends EtcdError {
  override readonly name = "FutureRevisionError";
  readonly code = "ETCD_FUTURE_REVISION";
}
