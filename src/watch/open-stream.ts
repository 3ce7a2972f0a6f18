import type { StreamEndpoint, WatchResponse, WatchStream } from "../connection/index.ts";
import { translateWatchCancel } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import type { Clock, Timer } from "../internal/clock.ts";
import type { WatchFeed } from "./watch-feed.ts";

/** Tells what the server answers to a create request, then or later. */
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
/** The number of no watch: what a request for progress is answered with. */
const PROGRESS_ID = "-1";

/**
 * The feeds on one open stream, by the server's numbers. "Created" answers are matched by the order of the requests: a
 * refused watch answers with the number -1.
 */
export class OpenStream {
  readonly #stream: WatchStream;
  readonly #clock: Clock;
  readonly #listener: OpenStreamListener;
  readonly #creating: { readonly feed: WatchFeed; readonly startRevision: number }[] = [];
  readonly #created = new Map<string, WatchFeed>();
  #createTimer: Timer | undefined;
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

  create(feed: WatchFeed, startRevision: number): void {
    this.#creating.push({ feed, startRevision });
    this.#stream.create({ range: feed.spec.range, startRevision, previous: feed.spec.previous });
    // What it owed before is not put off by what it owes now.
    if (!this.#createTimer && !this.#closed) this.#awaitCreated();
  }

  /** Tells the server that nobody listens any more; a feed that it has not confirmed yet is cancelled when it is. */
  cancel(feed: WatchFeed): void {
    for (const [watchId, created] of this.#created) {
      if (created !== feed) continue;
      this.#created.delete(watchId);
      this.#stream.cancel(watchId);
      return;
    }
  }

  receive(response: WatchResponse): void {
    this.#heardMs = this.#clock.monotonicMs();
    if (response.watchId === PROGRESS_ID && !response.created && !response.canceled) return;
    this.#dispatch(response);
    // What the server owes may take its time again from here on.
    if (!this.#closed) this.#awaitCreated();
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

  #awaitCreated(): void {
    this.#createTimer?.cancel();
    this.#createTimer = this.#waits ? this.#clock.timer(CREATE_LIMIT_MS, () => this.#listener.onMute()) : undefined;
  }

  get #waits(): boolean {
    return this.#creating.length > 0;
  }

  #dispatch(response: WatchResponse): void {
    if (response.created) {
      const asked = this.#creating.shift();
      if (!asked) return;
      const { feed, startRevision } = asked;
      if (response.canceled) this.#cancelled(feed, response);
      else if (feed.over) this.#stream.cancel(response.watchId);
      else {
        this.#created.set(response.watchId, feed);
        this.#listener.onCreated(feed, startRevision, response.headerRevision);
      }
      return;
    }
    const feed = this.#created.get(response.watchId);
    if (!feed) return;
    if (response.canceled) {
      this.#created.delete(response.watchId);
      this.#cancelled(feed, response);
    } else {
      feed.receive(response);
    }
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
