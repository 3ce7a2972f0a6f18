import type { Protocol, StreamEndpoint } from "../connection/index.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { onAbort } from "../internal/abort.ts";
import { timed } from "../internal/timed.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { AdminParts } from "./admin-calls.ts";

interface Leader {
  readonly endpoint: StreamEndpoint;
  readonly memberId: string;
}

/** Has the leader hand over to a member. Only the leader can, so it is looked for among the endpoints. */
export async function makeLeader(
  { protocol, runtime }: AdminParts,
  memberId: string,
  { signal, timeoutMs = protocol.requestTimeoutMs }: CallOptions,
): Promise<void> {
  await timed(
    runtime.clock,
    "moveLeader",
    { signal, timeoutMs },
    async (options) => {
      const leader = await findLeader(protocol, options);
      if (leader.memberId === memberId) return;
      await protocol.admin.moveLeader(leader.endpoint, memberId, options);
    },
    () => protocol.unreached,
  );
}

/** The first that says so itself. Those that do not answer are not waited for. */
async function findLeader(protocol: Protocol, { signal, timeoutMs }: CallOptions): Promise<Leader> {
  const found = new AbortController();
  const release = onAbort(signal, () => found.abort(signal?.reason));
  const ask = async (endpoint: StreamEndpoint): Promise<Leader> => {
    const status = await protocol.memberStatus(endpoint, { signal: found.signal, timeoutMs });
    if (status.leaderId === status.memberId) return { endpoint, memberId: status.memberId };
    const leader = status.leaderId === undefined ? "knows no leader" : `says that ${status.leaderId} leads`;
    throw new UnavailableError(`${endpoint.url}: member ${status.memberId} ${leader}`, { retryable: true });
  };
  try {
    return await Promise.any(protocol.endpoints.map(ask));
  } catch (error) {
    signal?.throwIfAborted();
    const [cause] = (error as AggregateError).errors;
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    throw new UnavailableError(`the leader is behind none of the endpoints${why}`, { cause, retryable: true });
  } finally {
    release();
    found.abort();
  }
}
