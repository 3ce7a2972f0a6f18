import type { Protocol, StreamEndpoint } from "./connection/index.ts";
import { EtcdError } from "./errors/etcd-error.ts";
import { PermissionDeniedError } from "./errors/permission-denied-error.ts";
import type { Clock } from "./internal/clock.ts";
import type { CallOptions } from "./model/call-options.ts";

/** Options of `EtcdClient.health()`. */
export interface HealthOptions extends CallOptions {
  /** One of `client.endpoints`: it is asked, and no other. @default those that serve the client's calls, in turn */
  endpoint?: string | undefined;
}

/** Whether etcd serves this client. */
export interface EtcdHealth {
  readonly healthy: boolean;
  /** The endpoint that answered, else the one that was asked first. */
  readonly endpoint: string;
  /** From the call to the answer, or to the failure, in milliseconds. */
  readonly latencyMs: number;
  /** Why it is not healthy. */
  readonly error?: EtcdError | undefined;
}

/**
 * Makes one linearizable read, which a majority of the members must agree to, as `etcdctl endpoint health` does. A role
 * that may not read that key is no matter: etcd refuses it after the majority has agreed.
 */
export async function checkHealth(
  protocol: Protocol,
  clock: Clock,
  endpoint: StreamEndpoint | undefined,
  options: CallOptions | undefined,
): Promise<EtcdHealth> {
  const startMs = clock.monotonicMs();
  const asked: StreamEndpoint[] = [];
  const judged = (healthy: boolean, by: StreamEndpoint | undefined, error?: EtcdError): EtcdHealth => {
    const { url } = by ?? endpoint ?? (protocol.endpoints[0] as StreamEndpoint);
    return { healthy, endpoint: url, latencyMs: clock.monotonicMs() - startMs, ...(error && { error }) };
  };
  try {
    await protocol.readLinearizably(endpoint, asked, options);
    return judged(true, asked.at(-1));
  } catch (error) {
    if (!(error instanceof EtcdError) || options?.signal?.aborted) throw error;
    return error instanceof PermissionDeniedError ? judged(true, asked.at(-1)) : judged(false, asked[0], error);
  }
}
