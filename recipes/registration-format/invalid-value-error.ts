import { EtcdError } from "../../src/index.ts";

/** A value in etcd is in no format that a service registration is written in. The message never shows the value. */
export class InvalidValueError extends EtcdError {
  override readonly name = "InvalidValueError";
  readonly code = "ETCD_INVALID_VALUE";
}
