import { EtcdError } from "./etcd-error.ts";

/** Another owner has what was asked for. */
export class ConflictError extends EtcdError {
  override readonly name = "ConflictError";
  readonly code = "ETCD_CONFLICT";
}
