import { type Channel, channel } from "node:diagnostics_channel";
import { EtcdError } from "../errors/etcd-error.ts";
import { monotonicMs } from "./real-time.ts";

/** What each message of a tracing channel gets when what it describes is over, before `asyncEnd`. */
export interface TracedMessage {
  /** How long it took, in milliseconds. */
  durationMs?: number | undefined;
  /** Why it failed; left out when it did not. */
  error?: unknown;
  /** The code of an `EtcdError`. */
  code?: string | undefined;
  /** A write may have been executed all the same. */
  outcomeUnknown?: boolean | undefined;
}

/** A channel of single events. Ask `heard` first: a message that has no subscriber must not be made. */
export class EventChannel<Message extends object> {
  /** What subscribers subscribe to. */
  readonly names: readonly string[];
  readonly #channel: Channel;

  constructor(name: string) {
    this.names = [name];
    this.#channel = channel(name);
  }

  get heard(): boolean {
    return this.#channel.hasSubscribers;
  }

  publish(message: Message): void {
    this.#channel.publish(message);
  }
}

/**
 * What takes a while, as `tracingChannel(name)` of Node describes it: the same message comes on `start`, in the turn of
 * the caller, then on `end`, and when it is over on `error` if it failed, on `asyncStart` and `asyncEnd`. There is no
 * `result` in it: that could be a value.
 *
 * The sub-channels are looked at one by one, for `TracingChannel.hasSubscribers` is not in Node 20.
 */
export class TraceChannel<Message extends TracedMessage> {
  /** What subscribers subscribe to. */
  readonly names: readonly string[];
  readonly #start: Channel;
  readonly #end: Channel;
  readonly #asyncStart: Channel;
  readonly #asyncEnd: Channel;
  readonly #error: Channel;

  constructor(name: string) {
    const part = (event: string) => channel(`tracing:${name}:${event}`);
    this.#start = part("start");
    this.#end = part("end");
    this.#asyncStart = part("asyncStart");
    this.#asyncEnd = part("asyncEnd");
    this.#error = part("error");
    const parts = [this.#start, this.#end, this.#asyncStart, this.#asyncEnd, this.#error];
    this.names = parts.map((each) => String(each.name));
  }

  get heard(): boolean {
    return (
      this.#start.hasSubscribers ||
      this.#asyncEnd.hasSubscribers ||
      this.#end.hasSubscribers ||
      this.#asyncStart.hasSubscribers ||
      this.#error.hasSubscribers
    );
  }

  /** It begins. */
  begin(message: Message): Trace<Message> {
    const trace = new Trace(this, message);
    this.#start.publish(message);
    this.#end.publish(message);
    return trace;
  }

  /** It begins, and `work` runs in the stores that subscribers have bound to `start`. */
  enter<T>(message: Message, work: (trace: Trace<Message>) => T): T {
    const trace = new Trace(this, message);
    return this.#start.runStores(message, () => {
      try {
        return work(trace);
      } finally {
        this.#end.publish(message);
      }
    });
  }

  /** It is over. */
  over(message: Message, failed: boolean): void {
    if (failed) this.#error.publish(message);
    this.#asyncStart.publish(message);
    this.#asyncEnd.publish(message);
  }
}

/** One message of a tracing channel, between its start and its end. */
export class Trace<Message extends TracedMessage> {
  readonly message: Message;
  readonly #channel: TraceChannel<Message>;
  readonly #startedMs = monotonicMs();
  #over = false;

  constructor(channel: TraceChannel<Message>, message: Message) {
    this.#channel = channel;
    this.message = message;
  }

  /** It is over, and did not fail. What comes later says nothing any more. */
  succeed(): void {
    if (!this.#over) this.#end(false);
  }

  /** It is over, and failed. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.message.error = error;
    if (error instanceof EtcdError) {
      this.message.code = error.code;
      this.message.outcomeUnknown = error.outcomeUnknown;
    }
    this.#end(true);
  }

  /** Is over when the promise settles, which is returned. */
  follow<T>(promise: Promise<T>): Promise<T> {
    return promise.then(
      (value) => {
        this.succeed();
        return value;
      },
      (error: unknown) => {
        this.fail(error);
        throw error;
      },
    );
  }

  #end(failed: boolean): void {
    this.#over = true;
    this.message.durationMs = monotonicMs() - this.#startedMs;
    this.#channel.over(this.message, failed);
  }
}
