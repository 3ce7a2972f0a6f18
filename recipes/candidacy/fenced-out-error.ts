import { EtcdError } from "../../src/index.ts";

/**
 * What the token stood for is not held any more: the write was not executed. Also the reason of the signal of a term or a
 * lock that its owner gave up.
 */
export class FencedOutError extends EtcdError {
  override readonly name = "FencedOutError";
  readonly code = "ETCD_FENCED_OUT";
}
