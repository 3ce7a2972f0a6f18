import { EtcdError } from "../../src/index.ts";

/** Nobody has requested this confirmation, or so long ago that etcd no longer knows of it. */
export class NotRequestedError extends EtcdError {
  override readonly name = "NotRequestedError";
  readonly code = "ETCD_NOT_REQUESTED";
}
