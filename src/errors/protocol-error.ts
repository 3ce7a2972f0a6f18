import { EtcdError } from "./etcd-error.ts";

/**
 * etcd answered something that cannot be represented or that the protocol does not allow, or failed in a way that we do
 * not know.
 */
export class ProtocolError extends EtcdError {
  override readonly name = "ProtocolError";
  readonly code = "ETCD_PROTOCOL";
}
