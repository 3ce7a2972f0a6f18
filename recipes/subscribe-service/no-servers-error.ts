import { EtcdError } from "../../src/index.ts";

/** There is no server to choose: the list is empty, or all in it are draining. */
export class NoServersError extends EtcdError {
  override readonly name = "NoServersError";
  readonly code = "ETCD_NO_SERVERS";
}
