import { EtcdError } from "./etcd-error.ts";

/**
 * No endpoint could serve the call: none is reachable, the cluster has no leader, or something before etcd answered in
 * its place, such as an ingress with a 403 or a 429. Retryable.
 */
export class UnavailableError extends EtcdError {
  override readonly name = "UnavailableError";
  readonly code = "ETCD_UNAVAILABLE";
}
