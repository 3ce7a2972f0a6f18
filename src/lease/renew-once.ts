import type { LeaseKeepAliveResponse, Protocol, StreamEndpoint } from "../connection/index.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { onAbort } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { deferred } from "../internal/deferred.ts";
import { patientTimer } from "../internal/patient-timer.ts";
import type { Runtime } from "../internal/runtime.ts";
import { timed } from "../internal/timed.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { LeaseId } from "../model/lease-id.ts";
import { RenewalStream } from "./renewal-stream.ts";

/** A follower keeps a renewal waiting for a leader that is dead: another one is asked after so long. */
const ATTEMPT_MS = 1_000;

export interface Renewed {
  readonly ttlSeconds: number;
  /** When the renewal was sent, by `elapsedMs()`: etcd counts the TTL from then, or from later. */
  readonly sentMs: number;
}

export interface RenewOnceParts {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  readonly dialLimitMs: number;
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal;
}

/**
 * Renews a lease, whichever client holds it, over a stream of its own. Repeated on the next endpoint until one answers.
 *
 * @throws LeaseNotFoundError when there is no such lease; EtcdTimeoutError; what keeps every endpoint from answering
 */
export async function renewOnce(parts: RenewOnceParts, id: LeaseId, options: CallOptions): Promise<Renewed> {
  const end = new AbortController();
  const releases = [options.signal, parts.closed].map((signal) => onAbort(signal, () => end.abort(signal?.reason)));
  try {
    return await renewWithin(parts, id, { ...options, signal: end.signal });
  } finally {
    for (const release of releases) release();
  }
}

function renewWithin(parts: RenewOnceParts, id: LeaseId, options: CallOptions): Promise<Renewed> {
  const { protocol, runtime } = parts;
  const timeoutMs = options.timeoutMs ?? protocol.requestTimeoutMs;
  return timed(
    runtime.clock,
    `the renewal of ${id}`,
    { ...options, timeoutMs },
    async (call, failed) => {
      const backoff = new Backoff(runtime, { initialMs: 30, maxMs: 1_000 });
      let last: StreamEndpoint | undefined;
      let wasRefused = false;
      for (;;) {
        last = protocol.streamEndpoints(last)[0] as StreamEndpoint;
        try {
          return await ask(parts, last, id, call.signal);
        } catch (error) {
          call.signal?.throwIfAborted();
          if (!(error instanceof EtcdError)) throw error;
          // Its token may have been an old one, and is forgotten by now.
          const isAgain: boolean = error instanceof UnauthenticatedError && !wasRefused;
          if (!error.retryable && !isAgain) throw error;
          wasRefused ||= isAgain;
          failed(error);
          await backoff.wait(call.signal, { leftMs: call.timeoutMs });
        }
      }
    },
    () => protocol.unreached,
  );
}

async function ask(
  { protocol, runtime, dialLimitMs }: RenewOnceParts,
  endpoint: StreamEndpoint,
  id: LeaseId,
  signal: AbortSignal | undefined,
): Promise<Renewed> {
  const { clock } = runtime;
  const answer = deferred<Renewed>();
  const stream = new RenewalStream(protocol, endpoint, dialLimitMs, {
    nowMs: () => clock.elapsedMs(),
    worked: () => protocol.streamWorked(endpoint),
    answered: (_, { ttlSeconds }: LeaseKeepAliveResponse, sentMs) => {
      if (ttlSeconds > 0) answer.resolve({ ttlSeconds, sentMs });
      else answer.reject(new LeaseNotFoundError(`there is no lease ${id}`));
    },
    ended: (_, error) => {
      protocol.streamFailed(endpoint, "broken");
      answer.reject(error);
    },
  });
  const release = onAbort(signal, () => answer.reject(signal?.reason));
  try {
    stream.renew([id]);
    const late = () => {
      protocol.streamFailed(endpoint, stream.isOpen ? "silent" : "broken");
      return new EtcdTimeoutError(`${endpoint.url}: no answer to a renewal`, { retryable: true });
    };
    const timer = patientTimer(clock, ATTEMPT_MS, () => answer.reject(late()));
    return await answer.promise.finally(() => timer.cancel());
  } finally {
    release();
    stream.close();
  }
}
