import { EtcdError } from "./etcd-error.ts";

/** etcd itself wants to know who calls: no credentials, wrong ones, or a token that could not be renewed. */
export class UnauthenticatedError extends EtcdError {
  override readonly name = "UnauthenticatedError";
  readonly code = "ETCD_UNAUTHENTICATED";
}
