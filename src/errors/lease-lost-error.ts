import { EtcdError } from "./etcd-error.ts";

/**
 * The lease is gone, or this process can no longer prove that it is not: whatever it protected is not ours any more.
 */
export class LeaseLostError extends EtcdError {
  override readonly name = "LeaseLostError";
  readonly code = "ETCD_LEASE_LOST";
}
