import { EtcdError } from "./etcd-error.ts";

/** No endpoint could serve the call: none is reachable, or the cluster has no leader. Retryable. */
export class UnavailableError extends EtcdError {
  override readonly name = "UnavailableError";
  readonly code = "ETCD_UNAVAILABLE";
}
