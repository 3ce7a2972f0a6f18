/** The cluster did not reach the state that was waited for. */
export class ClusterTimeoutError extends Error {
  override readonly name = "ClusterTimeoutError";
  readonly code = "ETCD_CLUSTER_TIMEOUT";

  constructor(awaited: string, timeoutMs: number, options?: ErrorOptions) {
    super(`not within ${timeoutMs} ms: ${awaited}`, options);
  }
}
