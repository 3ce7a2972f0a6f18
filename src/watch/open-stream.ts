import type { StreamEndpoint, WatchResponse, WatchStream } from "../connection/index.ts";
import { translateWatchCancel } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import type { Clock, Timer } from "../internal/clock.ts";
import { setImmediate } from "../internal/real-time.ts";
import type { WatchFeed } from "./watch-feed.ts";

/** Receives what the server answers to a create request, then or later. */
export interface OpenStreamListener {
  /** The feed is followed from `startRevision` on, and the server itself was at `serverRevision`. */
  onCreated(feed: WatchFeed, startRevision: number, serverRevision: number): void;
  onCancelled(feed: WatchFeed, error: EtcdError): void;
  /** The server owes an answer to a create request and has said nothing at all for 5 s. */
  onMute(): void;
}

const CREATE_LIMIT_MS = 5_000;
/**
 * A server that has said nothing for so long is asked for progress, as a sign of life: what it answers comes from the
 * connection that a frozen one leaves silent, and silence is what pings are sent for. Pings alone, at most one in 5 s,
 * would find it twice as late.
 */
const PROGRESS_MS = 1_000;
/** The number of no watch: what a request for progress, and a watch that is refused, are answered with. */
const NO_ID = "-1";
/** Watches have numbers from here on. Who numbers them itself begins at 0 and does not come so far. */
const FIRST_ID = 1_000_000_000;

/** A watch that the server is to create. */
interface Wanted {
  readonly feed: WatchFeed;
  readonly startRevision: number;
}

/**
 * The feeds on one open stream, by their numbers.
 *
 * Etcd creates watches in the order of the requests, under the numbers that they ask for; only the answer to one that
 * it refuses has the number -1. `etcd grpc-proxy` numbers them itself, and confirms them in any order, so that two of
 * them cannot be distinguished. The first answer with a number shows which it is: before it, and always where the
 * number is not the one that was asked for, one request at a time is under way.
 */
export class OpenStream {
  readonly #stream: WatchStream;
  readonly #clock: Clock;
  readonly #listener: OpenStreamListener;
  /** What is not sent yet. */
  readonly #wanted: Wanted[] = [];
  /** What is sent and not answered, by the numbers that were asked for. */
  readonly #creating = new Map<string, Wanted>();
  #nextId = FIRST_ID;
  #takesIds = false;
  readonly #created = new Map<string, WatchFeed>();
  /** The numbers of those. */
  readonly #ids = new Map<WatchFeed, string>();
  #serverRevision = 0;
  #createTimer: Timer | undefined;
  /** Since when the server owes an answer to a create request, without a word meanwhile. */
  #owesSinceMs = 0;
  #progressTimer: Timer | undefined;
  #heardMs: number;
  #closed = false;

  constructor(stream: WatchStream, clock: Clock, listener: OpenStreamListener) {
    this.#stream = stream;
    this.#clock = clock;
    this.#listener = listener;
    this.#heardMs = clock.monotonicMs();
    this.#awaitSilence();
  }

  get endpoint(): StreamEndpoint {
    return this.#stream.endpoint;
  }

  /** How far the server was when it was last heard, or more. */
  get serverRevision(): number {
    return this.#serverRevision;
  }

  create(feed: WatchFeed, startRevision: number): void {
    this.#wanted.push({ feed, startRevision });
    this.#sendWanted();
    // What it owed before is not put off by what it owes now.
    if (!this.#createTimer && !this.#closed) this.#awaitCreated(this.#clock.monotonicMs());
  }

  /** Lets the server know that no reader is left; a feed that it has not confirmed yet is cancelled when it is. */
  cancel(feed: WatchFeed): void {
    const watchId = this.#ids.get(feed);
    if (watchId === undefined) return;
    this.#forget(watchId, feed);
    this.#stream.cancel(watchId);
  }

  /** How much of the keys of a watch is kept from its feed. */
  namespaceBytes(watchId: string): number {
    return this.#created.get(watchId)?.spec.space?.namespace.length ?? 0;
  }

  receive(response: WatchResponse): void {
    this.#heardMs = this.#clock.monotonicMs();
    this.#serverRevision = Math.max(this.#serverRevision, response.headerRevision);
    if (response.watchId === NO_ID && !response.created && !response.canceled) return;
    this.#dispatch(response);
    // What the server owes may take its time again from here on.
    if (!this.#closed) this.#awaitCreated(this.#heardMs);
  }

  close(): void {
    this.#closed = true;
    this.#createTimer?.cancel();
    this.#progressTimer?.cancel();
    this.#stream.close();
  }

  #awaitSilence(): void {
    const dueMs = this.#heardMs + PROGRESS_MS - this.#clock.monotonicMs();
    this.#progressTimer = this.#clock.timer(dueMs > 0 ? dueMs : PROGRESS_MS, () => this.#awaitSilence()).unref();
    if (dueMs <= 0) this.#stream.requestProgress();
  }

  /** One timer, however many answers come: it looks for how long there was none, and goes on. */
  #awaitCreated(sinceMs: number): void {
    this.#owesSinceMs = sinceMs;
    if (!this.#waits) {
      this.#createTimer?.cancel();
      this.#createTimer = undefined;
    } else this.#createTimer ??= this.#clock.timer(CREATE_LIMIT_MS, () => this.#lookForCreated());
  }

  #lookForCreated(): void {
    const leftMs = this.#createLeftMs;
    if (leftMs > 0) this.#createTimer = this.#clock.timer(leftMs, () => this.#lookForCreated());
    // A process that was stopped, or busy, has not read what has come meanwhile: it does so before the second look.
    else setImmediate(this.#lookAgain);
  }

  readonly #lookAgain = () => {
    if (this.#closed || !this.#waits) return;
    // One that was created meanwhile has a timer by now.
    this.#createTimer?.cancel();
    if (this.#createLeftMs <= 0) this.#listener.onMute();
    else this.#lookForCreated();
  };

  get #createLeftMs(): number {
    return this.#owesSinceMs + CREATE_LIMIT_MS - this.#clock.monotonicMs();
  }

  get #waits(): boolean {
    return this.#creating.size > 0;
  }

  #sendWanted(): void {
    while (this.#takesIds || this.#creating.size === 0) {
      const wanted = this.#wanted.shift();
      if (!wanted) return;
      const { feed, startRevision } = wanted;
      if (feed.over) continue;
      const watchId = String(this.#nextId++);
      this.#creating.set(watchId, wanted);
      const { range, space, previous, filters } = feed.spec;
      this.#stream.create({ range, namespace: space?.namespace, startRevision, previous, filters, watchId });
    }
  }

  /** Which request is answered; undefined for none. */
  #answered({ watchId }: WatchResponse): Wanted | undefined {
    let asked = watchId;
    if (this.#creating.has(watchId)) this.#takesIds = true;
    // A refusal is answered in turn, and one request that is under way alone has whatever answer comes.
    else if (watchId === NO_ID || this.#creating.size === 1) asked = this.#creating.keys().next().value ?? NO_ID;
    const wanted = this.#creating.get(asked);
    this.#creating.delete(asked);
    return wanted;
  }

  #dispatch(response: WatchResponse): void {
    if (response.created) {
      const wanted = this.#answered(response);
      // Before listeners hear of it, who may ask for more.
      this.#sendWanted();
      if (response.canceled) {
        if (wanted) this.#cancelled(wanted.feed, response);
      } else if (!wanted || wanted.feed.over) this.#stream.cancel(response.watchId);
      else {
        this.#created.set(response.watchId, wanted.feed);
        this.#ids.set(wanted.feed, response.watchId);
        this.#listener.onCreated(wanted.feed, wanted.startRevision, response.headerRevision);
      }
      return;
    }
    const feed = this.#created.get(response.watchId);
    if (!feed) return;
    if (response.canceled) {
      this.#forget(response.watchId, feed);
      this.#cancelled(feed, response);
    } else {
      feed.receive(response);
    }
  }

  #forget(watchId: string, feed: WatchFeed): void {
    this.#created.delete(watchId);
    this.#ids.delete(feed);
  }

  #cancelled(feed: WatchFeed, { compactRevision, cancelReason }: WatchResponse): void {
    const error =
      compactRevision > 0
        ? new CompactedError(
            `what followed revision ${feed.revision} is compacted away up to revision ${compactRevision}: ` +
              `read what there is now, and watch from the revision after that, ${compactRevision + 1} at the earliest`,
            { compactRevision },
          )
        : translateWatchCancel(cancelReason);
    this.#listener.onCancelled(feed, error);
  }
}
