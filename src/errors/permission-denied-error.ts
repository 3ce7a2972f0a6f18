import { EtcdError } from "./etcd-error.ts";

/** The user's roles do not allow this: etcd itself says so. What a proxy forbids is an `UnavailableError`. */
export class PermissionDeniedError extends EtcdError {
  override readonly name = "PermissionDeniedError";
  readonly code = "ETCD_PERMISSION_DENIED";
}
