import { EtcdTimeoutError } from "../../src/index.ts";
import { Backoff, inMs, onAbort, type Runtime, sleep } from "../../src/internal/index.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** One use of a server by `call()`. Its `signal` aborts when the caller's does, and when the attempt is out of time. */
export type ServiceCall<Metadata, Result> = (
  server: ServiceInstance<Metadata>,
  signal: AbortSignal,
) => Promise<Result> | Result;

export interface ServiceCallParts<Metadata> {
  readonly runtime: Runtime;
  /** One that is not among those tried, if there is such a one; undefined when there is none at all. */
  choose(tried: ReadonlySet<string>): ServiceInstance<Metadata> | undefined;
  /** Whether there is one that is not among those tried. */
  hasOther(tried: ReadonlySet<string>): boolean;
  /** Waits until there is a server; rejects when the time is over. */
  someServer(timeoutMs: number): Promise<void>;
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
  let failed: { readonly error: unknown } | undefined;
  for (let left = attempts; left > 0 && clock.monotonicMs() < untilMs; left--) {
    let server: ServiceInstance<Metadata> | undefined;
    try {
      // A server that is alone is given a moment.
      if (failed && !parts.hasOther(tried)) {
        const leftMs = untilMs - clock.monotonicMs();
        await sleep(clock, Math.min(backoff.nextMs({ leftMs }), leftMs), signal);
      }
      server = parts.choose(tried);
      while (!server) {
        await parts.someServer(untilMs - clock.monotonicMs());
        server = parts.choose(tried);
      }
    } catch (error) {
      // What a server failed with says more than that there is none any more.
      throw failed && !signal?.aborted ? failed.error : error;
    }
    tried.add(server.key);
    // The time is shared with the attempts to come, so that a frozen server does not take it all. Nothing is awaited between
    // the choice and the attempt: calls that begin at the same time must see each other.
    const limitMs = (untilMs - clock.monotonicMs()) / left;
    if (limitMs <= 0) break;
    const outcome = await attempt(parts, call, server, limitMs, signal);
    if (!("error" in outcome)) return outcome.result;
    failed = outcome;
  }
  throw failed ? failed.error : new EtcdTimeoutError(`the call was out of time after ${inMs(timeoutMs)}`);
}

/**
 * Resolves with what came of it, no later than when its time is over, and rejects only when the caller aborts. What comes
 * after that is ignored.
 */
function attempt<Metadata, Result>(
  { runtime: { clock }, started, ended, report }: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  server: ServiceInstance<Metadata>,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly result: Result } | { readonly error: unknown }> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const startedMs = clock.monotonicMs();
    let open = true;
    const close = () => {
      const wasOpen = open;
      open = false;
      timer.cancel();
      release();
      return wasOpen;
    };
    const finish = (outcome: { result: Result } | { error: unknown }) => {
      if (!close()) return;
      resolve(outcome);
      report(server, {
        latencyMs: clock.monotonicMs() - startedMs,
        ...("error" in outcome && { error: outcome.error }),
      });
    };
    const timer = clock.timer(limitMs, () => {
      const error = new EtcdTimeoutError(`${server.key} did not answer within ${inMs(limitMs)}`);
      finish({ error });
      controller.abort(error);
    });
    let release = () => {};
    release = onAbort(signal, () => {
      close();
      reject(signal?.reason);
      controller.abort(signal?.reason);
    });
    if (!open) return;
    started(server);
    // A server whose call ignores its signal is busy until that has settled.
    const run = async () => call(server, controller.signal);
    run()
      .then(
        (result) => finish({ result }),
        (error) => finish({ error: error ?? new Error("failed without a reason") }),
      )
      .finally(() => ended(server));
  });
}
