import { EtcdError } from "./etcd-error.ts";

/** The call was not answered within its time. A write that may have left carries `outcomeUnknown: true`. */
export class EtcdTimeoutError extends EtcdError {
  override readonly name = "EtcdTimeoutError";
  readonly code = "ETCD_TIMEOUT";
}
