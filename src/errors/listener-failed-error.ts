import { EtcdError } from "./etcd-error.ts";

/** A listener or a callback threw, or its promise rejected; `cause` is what it threw. What called it goes on. */
export class ListenerFailedError extends EtcdError {
  override readonly name = "ListenerFailedError";
  readonly code = "ETCD_LISTENER_FAILED";
}
