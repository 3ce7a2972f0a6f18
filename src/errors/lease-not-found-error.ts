import { EtcdError } from "./etcd-error.ts";

/** There is no such lease: it expired or was revoked. */
export class LeaseNotFoundError extends EtcdError {
  override readonly name = "LeaseNotFoundError";
  readonly code = "ETCD_LEASE_NOT_FOUND";
}
