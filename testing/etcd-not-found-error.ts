/** No usable etcd binary on this machine; the message says how to get one. */
export class EtcdNotFoundError extends Error {
  override readonly name = "EtcdNotFoundError";
  readonly code = "ETCD_BINARY_NOT_FOUND";

  constructor(problem: string, options?: ErrorOptions) {
    super(`${problem}. Install one with \`npx etcd-recipes-etcd\`, or set ETCD_BIN to the path of an etcd`, options);
  }
}
