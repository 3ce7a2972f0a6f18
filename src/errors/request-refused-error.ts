import { EtcdError } from "./etcd-error.ts";

/** etcd understood the request and refuses it as it is: too large, too many operations, the same key twice, a lease TTL out of range. */
export class RequestRefusedError extends EtcdError {
  override readonly name = "RequestRefusedError";
  readonly code = "ETCD_REQUEST_REFUSED";
}
