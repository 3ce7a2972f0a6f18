import { EtcdError } from "./etcd-error.ts";

/** The client, or the object that was used, is closed. */
export class ClientClosedError extends EtcdError {
  override readonly name = "ClientClosedError";
  readonly code = "ETCD_CLOSED";
}
