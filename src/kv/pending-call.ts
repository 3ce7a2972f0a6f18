import type { DescribedOptions } from "../connection/index.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { onAbort } from "../internal/abort.ts";
import type { Trace } from "../internal/channel.ts";
import type { CallMessage } from "../internal/channel-messages.ts";
import { channels } from "../internal/channels.ts";
import type { Timer } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import { patientTimer } from "../internal/patient-timer.ts";
import type { PartSize } from "../internal/txn-size.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import type { UsedKeys } from "./key-turns.ts";

interface CallParts<Request, Answer> {
  readonly request: Request;
  readonly options: CallOptions;
  readonly keys: UsedKeys;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A call, until it is settled: by its answer, or by its caller's signal or time. */
export class PendingCall<Request, Answer> {
  readonly request: Request;
  readonly options: CallOptions;
  /** Those that a write uses; none of a read. */
  readonly keys: UsedKeys;
  readonly size: Required<PartSize>;
  readonly #batching: BatchedCalls<Request, Answer>;
  readonly #parts: CallParts<Request, Answer>;
  readonly #timeoutMs: number;
  readonly #deadlineMs: number;
  #timer: Timer | undefined;
  #release: (() => void) | undefined;
  #trace: Trace<CallMessage> | undefined;
  #sentAs: CallMessage | undefined;
  #settled = false;
  #departed = false;
  #onSettled: (() => void) | undefined;

  constructor(batching: BatchedCalls<Request, Answer>, parts: CallParts<Request, Answer>) {
    this.request = parts.request;
    this.options = parts.options;
    this.keys = parts.keys;
    this.size = {
      operations: batching.operations?.(parts.request) ?? 1,
      nested: batching.nested?.(parts.request) ?? 0,
      bytes: batching.bytes(parts.request),
    };
    this.#batching = batching;
    this.#parts = parts;
    this.#timeoutMs = parts.options.timeoutMs ?? batching.requestTimeoutMs;
    this.#deadlineMs = batching.clock.monotonicMs() + this.#timeoutMs;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** At least 1. */
  get remainingMs(): number {
    return Math.max(1, this.#deadlineMs - this.#batching.clock.monotonicMs());
  }

  /** From here on its time and its signal end it; before, its holder sees to that. */
  watch(): void {
    if (this.#timer || this.#settled) return;
    this.#timer = patientTimer(this.#batching.clock, this.remainingMs, () => this.reject(this.#outOfTime()));
    const { signal } = this.options;
    if (signal) this.#release = onAbort(signal, () => this.reject(signal.reason));
  }

  /** The holder of this sees to its time and its signal from here on. */
  takeWatch(): CallOptions {
    if (!this.#timer) return this.options;
    this.#stopWatching();
    return { signal: this.options.signal, timeoutMs: this.remainingMs };
  }

  /** It is sent alone: what its channel says of it is noted on the way. */
  takeAlone(): DescribedOptions {
    this.#sentAgain();
    const options = this.takeWatch();
    return this.#trace ? { ...options, described: this.#trace.message } : options;
  }

  /** Its channel has a subscriber. */
  describe(): void {
    const method = this.#batching.method?.(this.request);
    if (method === undefined) return;
    this.#trace = channels.calls.begin({ service: "etcdserverpb.KV", method, attempt: 0, batchSize: 1 });
  }

  get isDescribed(): boolean {
    return this.#trace !== undefined;
  }

  /** It is sent with others, in a request of which this is noted. */
  sentAs(request: CallMessage): void {
    this.#sentAgain();
    this.#sentAs = request;
  }

  /** After a request that was refused: how often that was sent counts, all else of it is not what comes of the call. */
  #sentAgain(): void {
    if (this.#trace && this.#sentAs) this.#trace.message.attempt += this.#sentAs.attempt;
    this.#sentAs = undefined;
  }

  /** It is sent from here on; false when no caller waits for it any more. */
  depart(): boolean {
    this.#departed = true;
    return !this.#settled;
  }

  whenSettled(listener: () => void): void {
    this.#onSettled = listener;
  }

  resolve(answer: Answer): void {
    if (!this.#settle()) return;
    if (this.#trace) this.#traced(this.#trace).succeed();
    this.#parts.resolve(answer);
  }

  reject(error: unknown): void {
    if (!this.#settle()) return;
    if (this.#trace) this.#traced(this.#trace).fail(error);
    this.#parts.reject(error);
  }

  /** With what is known of the request that it was in. */
  #traced(trace: Trace<CallMessage>): Trace<CallMessage> {
    if (!this.#sentAs) return trace;
    const { endpoint, attempt, batchSize, grpcStatus } = this.#sentAs;
    const { message } = trace;
    Object.assign(message, { endpoint, attempt: message.attempt + attempt, batchSize, grpcStatus });
    return trace;
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#stopWatching();
    this.#onSettled?.();
    return true;
  }

  #stopWatching(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#release?.();
    this.#release = undefined;
  }

  /** It may have waited behind others all the time: then no attempt of its own says why. */
  #outOfTime(): EtcdError {
    const { name, unreached } = this.#batching;
    const within = inMs(this.#timeoutMs);
    const cause = unreached?.();
    const details = { retryable: true, outcomeUnknown: this.#departed && this.keys.written.length > 0 };
    return cause
      ? new UnavailableError(`${name}: no endpoint could serve it within ${within}; ${cause.message}`, {
          ...details,
          cause,
        })
      : new EtcdTimeoutError(`${name}: no answer within ${within}`, details);
  }
}

type DescribedCall = Pick<PendingCall<unknown, unknown>, "isDescribed" | "sentAs">;

/** Where those that have a subscriber are noted together; undefined when none has. */
export function describedTogether(calls: readonly DescribedCall[]): CallMessage | undefined {
  if (!calls.some(({ isDescribed }) => isDescribed)) return undefined;
  const request: CallMessage = { service: "etcdserverpb.KV", method: "Txn", attempt: 0, batchSize: calls.length };
  for (const call of calls) call.sentAs(request);
  return request;
}
