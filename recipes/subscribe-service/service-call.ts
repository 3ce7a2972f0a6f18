import { EtcdTimeoutError } from "../../src/index.ts";
import { Backoff, onAbort, type Runtime } from "../../src/internal/index.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** One use of a server by `call()`. Its `signal` aborts when the caller's does, and when the attempt is out of time. */
export type ServiceCall<Metadata, Result> = (
  server: ServiceInstance<Metadata>,
  signal: AbortSignal,
) => Promise<Result> | Result;

export interface ServiceCallParts<Metadata> {
  readonly runtime: Runtime;
  /** One that is not among those tried if there is such a one; waits for the first one, rejects when the time is over. */
  choose(tried: ReadonlySet<string>, untilMs: number): Promise<ServiceInstance<Metadata>>;
  started(server: ServiceInstance<Metadata>): void;
  ended(server: ServiceInstance<Metadata>): void;
  report(server: ServiceInstance<Metadata>, outcome: { latencyMs: number; error?: unknown }): void;
}

export interface ServiceCallLimits {
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Calls one server after the other until one does not fail; rejects with what the last one failed with. */
export async function callServers<Metadata, Result>(
  parts: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  { attempts, timeoutMs, signal }: ServiceCallLimits,
): Promise<Result> {
  const { clock } = parts.runtime;
  const untilMs = clock.monotonicMs() + timeoutMs;
  const tried = new Set<string>();
  const backoff = new Backoff(parts.runtime);
  let failure: { readonly error: unknown } | undefined;
  for (let left = attempts; ; left--) {
    const server = await parts.choose(tried, untilMs).catch((error) => {
      // What a server failed with says more than that there is none any more.
      throw failure && !signal?.aborted ? failure.error : error;
    });
    // There is no other one: it is given a moment.
    if (tried.has(server.key)) await backoff.wait(signal);
    tried.add(server.key);
    // The time is shared with the attempts to come, so that a frozen server does not take it all.
    const limitMs = (untilMs - clock.monotonicMs()) / left;
    try {
      return await attempt(parts, call, server, limitMs, signal);
    } catch (error) {
      if (signal?.aborted || left === 1 || clock.monotonicMs() >= untilMs) throw error;
      failure = { error };
    }
  }
}

/** Settles as the call does, but no later than its time is over or the caller aborts. What comes after that is ignored. */
function attempt<Metadata, Result>(
  { runtime: { clock }, started, ended, report }: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  server: ServiceInstance<Metadata>,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    const controller = new AbortController();
    const startedMs = clock.monotonicMs();
    let open = true;
    /** @param outcome undefined: it says nothing about the server */
    const finish = (outcome: { error?: unknown } | undefined, settle: () => void) => {
      if (!open) return;
      open = false;
      timer.cancel();
      release();
      if (outcome) report(server, { latencyMs: clock.monotonicMs() - startedMs, ...outcome });
      settle();
    };
    const timer = clock.timer(limitMs, () => {
      const error = new EtcdTimeoutError(`${server.key} did not answer within ${Math.round(limitMs)} ms`);
      finish({ error }, () => reject(error));
      controller.abort(error);
    });
    const release = onAbort(signal, () => {
      finish(undefined, () => reject(signal?.reason));
      controller.abort(signal?.reason);
    });
    started(server);
    // A server whose call ignores its signal is busy until that has settled.
    const run = async () => call(server, controller.signal);
    run()
      .then(
        (result) => finish({}, () => resolve(result)),
        (error) => finish({ error: error ?? new Error("failed without a reason") }, () => reject(error)),
      )
      .finally(() => ended(server));
  });
}
