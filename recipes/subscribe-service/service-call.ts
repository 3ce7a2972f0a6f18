import { EtcdTimeoutError } from "../../src/index.ts";
import {
  channels,
  inMs,
  onAbort,
  patientTimer,
  type ServiceAttemptMessage,
  sleep,
  type Trace,
} from "../../src/internal/index.ts";
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

export interface ServiceCallLimits<Result> {
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly isFailure?: ((result: Result) => boolean) | undefined;
  /** A server is about to be asked. */
  readonly asked?: (() => void) | undefined;
}

/** What came of an attempt. A result with `failure` is one that the caller counts as a failure of the server. */
type Outcome<Result> = { readonly result: Result; readonly failure?: Error } | { readonly error: unknown };

/** Calls one server after the other until one does not fail; settles as the last one did. */
export async function callServers<Metadata, Result>(
  servers: ServiceCallParts<Metadata>,
  call: ServiceCall<Metadata, Result>,
  { attempts, timeoutMs, signal, isFailure, asked }: ServiceCallLimits<Result>,
): Promise<Result> {
  const { runtime } = servers;
  const { clock } = runtime;
  const untilMs = clock.monotonicMs() + timeoutMs;
  const leftMs = () => untilMs - clock.monotonicMs();
  const tried = new Set<string>();
  let attemptsLeft = attempts;
  let last: Outcome<Result> | undefined;
  const callNext = async () => {
    // The first attempt has the time of the caller: what it fails with names that, not a rest that is a moment less.
    let restMs = tried.size === 0 ? timeoutMs : leftMs();
    let server: ServiceInstance<Metadata> | undefined;
    try {
      server = servers.choose(tried);
      while (!server) {
        await servers.someServer(restMs);
        restMs = leftMs();
        server = servers.choose(tried);
      }
    } catch (error) {
      // What a server failed with says more than that there is none any more.
      if (last && !signal?.aborted) return settled(last);
      throw error;
    }
    tried.add(server.key);
    // The time is shared with the attempts to come, so that a frozen server does not take it all. Nothing is awaited
    // between the choice and the attempt: calls that begin at the same time must see each other.
    const limitMs = restMs / attemptsLeft;
    if (limitMs > 0) {
      asked?.();
      const outcome = await attempt(servers, call, server, limitMs, signal, isFailure, attempts - attemptsLeft + 1);
      discardOf(last);
      if ("result" in outcome && !outcome.failure) return outcome;
      last = outcome;
    }
    attemptsLeft--;
    if (attemptsLeft > 0 && leftMs() > 0) return undefined;
    // No server was asked.
    const outOfTime = `the call was out of time after ${inMs(timeoutMs)}`;
    return settled(last ?? { error: new EtcdTimeoutError(outOfTime, { retryable: true }) });
  };
  try {
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
  } catch (error) {
    discardOf(last);
    throw error;
  }
}

/** @throws what it failed with */
function settled<Result>(outcome: Outcome<Result>): { readonly result: Result } {
  if ("error" in outcome) throw outcome.error;
  return outcome;
}

function discardOf(outcome: Outcome<unknown> | undefined): void {
  if (outcome && "result" in outcome) discard(outcome.result);
}

/** A response that the caller never gets must be given up, or its connection stays in use until it is collected. */
function discard(result: unknown): void {
  const body = (result as { body?: { cancel?: unknown } } | null | undefined)?.body;
  if (typeof body?.cancel !== "function") return;
  new Promise((resolve) => resolve((body as ReadableStream).cancel())).catch(() => {});
}

/**
 * Whether a response of `fetch()` is a failure of its server: a status of 500 or more. For `isFailure` of `call()`.
 *
 * ```ts
 * const response = await services.call((server, signal) => fetch(`http://${server.address}/`, { signal }), {
 *   attempts: 3,
 *   isFailure: isFailedResponse,
 * });
 * ```
 */
export function isFailedResponse(response: { readonly status: number }): boolean {
  return response.status >= 500;
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
  isFailure: ((result: Result) => boolean) | undefined,
  times: number,
): Promise<Outcome<Result>> {
  const { clock } = servers.runtime;
  return new Promise((resolve, reject) => {
    const controller = new AbortController();
    const startedMs = clock.monotonicMs();
    let open = true;
    let trace: Trace<ServiceAttemptMessage> | undefined;
    const close = () => {
      const wasOpen = open;
      open = false;
      timer?.cancel();
      release();
      return wasOpen;
    };
    const finish = (outcome: Outcome<Result>) => {
      if (!close()) {
        discardOf(outcome);
        return;
      }
      resolve(outcome);
      const error = "error" in outcome ? outcome.error : outcome.failure;
      if (error === undefined) trace?.succeed();
      else trace?.fail(error);
      servers.report(server, { latencyMs: clock.monotonicMs() - startedMs, ...(error !== undefined && { error }) });
    };
    const outOfTime = () => {
      const error = new EtcdTimeoutError(`${server.key} did not answer within ${inMs(limitMs)}`, {
        retryable: true,
        // It may have done the work.
        outcomeUnknown: true,
      });
      finish({ error });
      controller.abort(error);
    };
    const timer = limitMs === Number.POSITIVE_INFINITY ? undefined : patientTimer(clock, limitMs, outOfTime);
    let release = () => {};
    release = onAbort(signal, () => {
      close();
      trace?.fail(signal?.reason);
      reject(signal?.reason);
      controller.abort(signal?.reason);
    });
    if (!open) return;
    servers.started(server);
    const judged = (result: Result): Outcome<Result> => {
      try {
        if (!isFailure?.(result)) return { result };
        return { result, failure: new Error("its result is a failure, says isFailure") };
      } catch (error) {
        discard(result);
        return { error };
      }
    };
    // A server whose call ignores its signal is busy until that has settled.
    const run = async () => call(server, controller.signal);
    const { serviceAttempts } = channels;
    const runDescribed = () => {
      const { id, address } = server;
      return serviceAttempts.enter({ prefix: servers.prefix, id, address, attempt: times }, (begun) => {
        trace = begun;
        return run();
      });
    };
    (serviceAttempts.heard ? runDescribed() : run())
      .then(
        (result) => finish(judged(result)),
        (error) => finish({ error: error ?? new Error("failed without a reason") }),
      )
      .finally(() => servers.ended(server));
  });
}
