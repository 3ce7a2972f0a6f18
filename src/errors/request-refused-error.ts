import { EtcdError, type EtcdErrorDetails } from "./etcd-error.ts";

/**
 * `operations`: etcd takes fewer in a txn (`--max-txn-ops`). `requestBytes`: it takes smaller requests
 * (`--max-request-bytes`). `answerBytes`: something on its way, such as a proxy, takes smaller answers.
 */
export type RequestLimit = "operations" | "requestBytes" | "answerBytes";

/**
 * etcd understood the request and refuses it as it is: too large, too many operations, the same key twice, a lease TTL
 * out of range.
 */
export class RequestRefusedError extends EtcdError {
  override readonly name = "RequestRefusedError";
  readonly code = "ETCD_REQUEST_REFUSED";
  /** The limit that the request is beyond; undefined when it was refused for something else. */
  readonly beyond: RequestLimit | undefined;

  constructor(message: string, details: EtcdErrorDetails & { beyond?: RequestLimit | undefined } = {}) {
    super(message, details);
    this.beyond = details.beyond;
  }
}
