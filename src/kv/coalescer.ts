import { channels } from "../internal/channels.ts";
import type { Timer } from "../internal/clock.ts";
import { nextTick } from "../internal/real-time.ts";
import { isOutOfSpace } from "../internal/refusal.ts";
import { isOfOne, sendInParts } from "../internal/send-in-parts.ts";
import { ServerLimits, TxnRoom } from "../internal/server-limits.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import { KeyTurns, type UsedKeys } from "./key-turns.ts";
import { KeysSentAlone } from "./keys-sent-alone.ts";
import { describedTogether, PendingCall } from "./pending-call.ts";

const MOST_IN_FLIGHT = 16;
const noKeys: UsedKeys = { written: [], seen: [] };
/** How long a call waits for others while a batch is under way. */
const GATHER_MS = 1;

/**
 * Lets calls that are made at the same time travel together. The first goes at once, with those of the same turn of the
 * event loop; what is called while it is under way leaves together when it returns, or after 1 ms, or when it fills a
 * batch. A caller's signal and time end its own call only.
 *
 * ```text
 *   add ──▶ waiting ──▶ under way, alone or together ──▶ settled
 *    │        ▲                  │ together, and refused
 *    ▼        │                  ▼
 *   behind a write with     each by itself; each half, if it was too much
 *   the same key
 * ```
 *
 * Not when it was refused for want of space: etcd can have stored it (see `ExhaustedError`). Each of its calls fails
 * then, and what needs no space travels apart until etcd has some.
 */
export class Coalescer<Request, Answer> {
  readonly #batching: BatchedCalls<Request, Answer>;
  readonly #limits: ServerLimits;
  /** Those that failed for a reason of their own, or are large. */
  readonly #lone = new KeysSentAlone();
  /** Of writes of which one writes a key that the other uses. */
  readonly #turns = new KeyTurns<PendingCall<Request, Answer>>();
  #waiting: PendingCall<Request, Answer>[] = [];
  #waitingBytes = 0;
  #waitingOperations = 0;
  /** Batches, and single calls that could have been part of one. */
  #inFlight = 0;
  #last: object | undefined;
  #gathering: Timer | undefined;
  /** The calls that wait have waited long enough. */
  #due = false;
  /** Nothing is under way, and those that are called in this turn of the event loop leave at its end. */
  #beginning = false;
  /** Etcd has refused a call for want of space, and stored none that needs it since. */
  #isFull = false;

  constructor(batching: BatchedCalls<Request, Answer>, limits = new ServerLimits()) {
    this.#batching = batching;
    this.#limits = limits;
  }

  add(request: Request, options: CallOptions): Promise<Answer> {
    const batching = this.#batching;
    return new Promise<Answer>((resolve, reject) => {
      const keys = batching.usedKeys?.(request) ?? noKeys;
      const call = new PendingCall(batching, { request, options, keys, resolve, reject });
      if (channels.calls.heard) call.describe();
      if (!this.#turns.enter(call)) {
        call.watch();
      } else if (this.#lone.any && this.#lone.has(batching.key(request))) {
        void this.#sendBeside(call);
      } else {
        this.#wait(call);
      }
    });
  }

  #wait(call: PendingCall<Request, Answer>): void {
    this.#waiting.push(call);
    this.#waitingBytes += call.size.bytes;
    this.#waitingOperations += call.size.operations;
    if (this.#inFlight > 0) {
      call.watch();
      this.#next();
    } else if (!this.#beginning) {
      this.#beginning = true;
      nextTick(() => {
        this.#beginning = false;
        this.#next();
        // More than may be under way at a time.
        for (const left of this.#waiting) left.watch();
      });
    }
  }

  /** Sends what has waited long enough. */
  #next(): void {
    while (this.#mayLeave()) {
      const [call, ...others] = this.#take();
      if (call && others.length > 0) void this.#send([call, ...others]);
      else if (call) this.#sendOne(call);
    }
    if (this.#waiting.length === 0 || this.#due) return;
    this.#gathering ??= this.#batching.clock.timer(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#due = true;
      this.#next();
    });
  }

  #mayLeave(): boolean {
    if (this.#waiting.length === 0 || this.#inFlight >= MOST_IN_FLIGHT) return false;
    const full = this.#waitingOperations >= this.#limits.operations - 1 || this.#waitingBytes >= this.#limits.bytes;
    return full || this.#due || this.#inFlight === 0;
  }

  #take(): PendingCall<Request, Answer>[] {
    const alike = this.#isFull ? this.#alike() : this.#waiting;
    let count = 0;
    let bytes = 0;
    let operations = 0;
    const room = new TxnRoom(this.#limits);
    for (const call of alike) {
      if (!room.take(call.size)) break;
      count++;
      bytes += call.size.bytes;
      operations += call.size.operations;
    }
    const taken = alike.slice(0, count);
    if (alike === this.#waiting) this.#waiting = this.#waiting.slice(count);
    else this.#waiting = this.#waiting.filter((call) => !taken.includes(call));
    this.#waitingBytes -= bytes;
    this.#waitingOperations -= operations;
    this.#due = false;
    this.#gathering?.cancel();
    this.#gathering = undefined;
    return taken;
  }

  /** Those that wait and are like the first of them: all that need space, or all that need none. */
  #alike(): PendingCall<Request, Answer>[] {
    const [first] = this.#waiting;
    return this.#waiting.filter((call) => this.#needsSpace(call) === this.#needsSpace(first));
  }

  #needsSpace(call: PendingCall<Request, Answer> | undefined): boolean | undefined {
    return call && this.#batching.needsSpace?.(call.request);
  }

  #stored(calls: readonly PendingCall<Request, Answer>[]): void {
    if (this.#isFull && calls.some((call) => this.#needsSpace(call))) this.#isFull = false;
  }

  #refused(error: unknown): void {
    if (this.#batching.needsSpace && isOutOfSpace(error)) this.#isFull = true;
  }

  async #send(taken: readonly PendingCall<Request, Answer>[]): Promise<void> {
    const batch = this.#leave();
    try {
      await this.#sendAll(taken.filter((call) => call.depart()));
    } finally {
      this.#returned(batch, taken);
    }
  }

  /** The short way of most calls: a call alone has no parts, and nothing is learned of limits. */
  #sendOne(call: PendingCall<Request, Answer>): void {
    const batch = this.#leave();
    const sent = call.depart() ? this.#sendAlone(call) : Promise.resolve();
    void sent.then(() => this.#returned(batch, [call]));
  }

  /** Of a key that goes alone: it waits for no other call, and none for it. */
  async #sendBeside(call: PendingCall<Request, Answer>): Promise<void> {
    if (call.depart()) await this.#sendAlone(call);
    this.#leaveTurn(call);
  }

  async #sendAll(calls: readonly PendingCall<Request, Answer>[]): Promise<void> {
    await sendInParts(calls, {
      limits: this.#limits,
      sizeOf: ({ size }) => size,
      send: (part) => this.#sendPart(part),
      failed: (part, error) => {
        this.#refused(error);
        for (const call of part) call.reject(error);
      },
    });
  }

  async #sendPart(part: readonly PendingCall<Request, Answer>[]): Promise<void> {
    // One whose signal has aborted by now is not sent.
    if (part.length > 1) for (const call of part) call.watch();
    const [call, ...others] = part.filter(({ settled }) => !settled);
    if (!call) return;
    if (others.length > 0) await this.#sendTogether([call, ...others]);
    else await this.#sendAlone(call);
  }

  async #sendTogether(calls: readonly PendingCall<Request, Answer>[]): Promise<void> {
    const mostMs = Math.max(...calls.map((call) => call.remainingMs));
    // A moment less than the calls have: what comes of the batch says why, their own time-outs cannot.
    const timeoutMs = Math.ceil(mostMs - Math.min(100, mostMs / 10));
    const callers = new WaitingCallers(calls);
    const { answers, large } = await this.#batching.many(
      calls.map(({ request }) => request),
      { timeoutMs, signal: callers.gone, described: describedTogether(calls) },
    );
    callers.answered();
    this.#stored(calls);
    for (const request of large) this.#lone.add(this.#batching.key(request));
    for (const [index, call] of calls.entries()) call.resolve(answers[index] as Answer);
  }

  /** As if there were no coalescing: with the caller's own signal and time. */
  async #sendAlone(call: PendingCall<Request, Answer>): Promise<void> {
    try {
      call.resolve(await this.#batching.one(call.request, call.takeAlone()));
      this.#stored([call]);
    } catch (error) {
      call.reject(error);
      this.#refused(error);
      if (isOfOne(error)) this.#lone.add(this.#batching.key(call.request));
    }
  }

  #leave(): object {
    this.#inFlight++;
    this.#last = {};
    return this.#last;
  }

  #returned(batch: object, calls: readonly PendingCall<Request, Answer>[]): void {
    for (const call of calls) this.#leaveTurn(call);
    this.#inFlight--;
    if (batch === this.#last) this.#due = this.#waiting.length > 0;
    this.#next();
  }

  #leaveTurn(call: PendingCall<Request, Answer>): void {
    for (const next of this.#turns.leave(call)) this.#wait(next);
  }
}

type Caller = Pick<PendingCall<unknown, unknown>, "options" | "whenSettled">;

/** Those who wait for a batch. */
class WaitingCallers {
  /** Aborts when none is left. Undefined where none has a signal: their times end the batch. */
  readonly gone: AbortSignal | undefined;
  #left: number;

  constructor(calls: readonly Caller[]) {
    this.#left = calls.length;
    if (calls.every(({ options }) => options.signal === undefined)) return;
    const controller = new AbortController();
    this.gone = controller.signal;
    for (const call of calls) {
      call.whenSettled(() => {
        if (--this.#left === 0) controller.abort();
      });
    }
  }

  /** The batch is over. */
  answered(): void {
    this.#left = Number.POSITIVE_INFINITY;
  }
}
