import { EtcdError } from "../../src/index.ts";

/** A listener of an event threw, or its promise rejected; `cause` is what it threw. The recipe goes on. */
export class ListenerFailedError extends EtcdError {
  override readonly name = "ListenerFailedError";
  readonly code = "ETCD_LISTENER_FAILED";
}
