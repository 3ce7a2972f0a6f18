import { EtcdTimeoutError } from "../../src/index.ts";
import { inMs, onAbort, sleep } from "../../src/internal/index.ts";
import { retry } from "../retries/index.ts";
import type { ServersOfCall } from "./servers-of-call.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** One use of a server by `call()`. Its `signal` aborts when the caller's does, and when the attempt is out of time. */
export type ServiceCall<Metadata, Result> = (
  server: ServiceInstance<Metadata>,
  signal: AbortSignal,
) => Promise<Result> | Result;

/** The members of a ServersOfCall. */
export type ServiceCallParts<Metadata> = Pick<ServersOfCall<Metadata>, keyof ServersOfCall<Metadata>>;

export interface ServiceCallLimits {
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Calls one server after the other until one does not fail; rejects with what the last one failed with. */
export async function callServers<Metadata, Result>(
  servers: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  { attempts, timeoutMs, signal }: ServiceCallLimits,
): Promise<Result> {
  const { runtime } = servers;
  const { clock } = runtime;
  const untilMs = clock.monotonicMs() + timeoutMs;
  const leftMs = () => untilMs - clock.monotonicMs();
  const tried = new Set<string>();
  let attemptsLeft = attempts;
  let failed: { readonly error: unknown } | undefined;
  const callNext = async () => {
    let server: ServiceInstance<Metadata> | undefined;
    try {
      server = servers.choose(tried);
      while (!server) {
        await servers.someServer(leftMs());
        server = servers.choose(tried);
      }
    } catch (error) {
      // What a server failed with says more than that there is none any more.
      throw failed && !signal?.aborted ? failed.error : error;
    }
    tried.add(server.key);
    // The time is shared with the attempts to come, so that a frozen server does not take it all. Nothing is awaited
    // between the choice and the attempt: calls that begin at the same time must see each other.
    const limitMs = leftMs() / attemptsLeft;
    if (limitMs > 0) {
      const outcome = await attempt(servers, call, server, limitMs, signal);
      if (!("error" in outcome)) return outcome;
      failed = outcome;
    }
    attemptsLeft--;
    if (attemptsLeft > 0 && leftMs() > 0) return undefined;
    throw failed ? failed.error : new EtcdTimeoutError(`the call was out of time after ${inMs(timeoutMs)}`);
  };
  const { result } = await retry(callNext, {
    runtime,
    leftMs,
    ends: () => true,
    // A server that is alone is given a moment.
    pause: async (delayMs) => {
      if (!servers.hasOther(tried)) await sleep(clock, Math.min(delayMs, leftMs()), signal);
    },
  });
  return result;
}

/**
 * Resolves with what came of it, no later than when its time is over, and rejects only when the caller aborts. What
 * comes after that is ignored.
 */
function attempt<Metadata, Result>(
  servers: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  server: ServiceInstance<Metadata>,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly result: Result } | { readonly error: unknown }> {
  const { clock } = servers.runtime;
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
      servers.report(server, {
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
    servers.started(server);
    // A server whose call ignores its signal is busy until that has settled.
    const run = async () => call(server, controller.signal);
    run()
      .then(
        (result) => finish({ result }),
        (error) => finish({ error: error ?? new Error("failed without a reason") }),
      )
      .finally(() => servers.ended(server));
  });
}
