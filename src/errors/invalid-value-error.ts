import { EtcdError } from "./etcd-error.ts";

/**
 * A value in etcd is not what it should be: in no known format, or rejected by a schema. The message never shows the
 * value.
 */
export class InvalidValueError extends EtcdError {
  override readonly name = "InvalidValueError";
  readonly code = "ETCD_INVALID_VALUE";
}
