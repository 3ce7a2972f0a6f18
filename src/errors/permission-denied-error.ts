import { EtcdError } from "./etcd-error.ts";

/** The user's roles do not allow this. */
export class PermissionDeniedError extends EtcdError {
  override readonly name = "PermissionDeniedError";
  readonly code = "ETCD_PERMISSION_DENIED";
}
