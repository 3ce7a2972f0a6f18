import type { Protocol } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { WatchOverflowError } from "../errors/watch-overflow-error.ts";
import { onAbort } from "../internal/abort.ts";
import { AsyncQueue } from "../internal/async-queue.ts";
import { Backoff } from "../internal/backoff.ts";
import { quietDeferred } from "../internal/deferred.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { KeyRange } from "../model/key-range.ts";
import { checkRevision } from "../model/revision.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import { EventEvidence } from "./event-evidence.ts";
import type { WatchFeed } from "./watch-feed.ts";
import type { WatchHub } from "./watch-hub.ts";

/** How long a watch that ends waits to be told how far etcd is compacted. */
const COMPACTION_LIMIT_MS = 5_000;

export interface WatchOptions {
  /** The first revision whose events are wanted. @default the one after the newest at the time of the call */
  startRevision?: number | undefined;
  /** Give each event the state before it, where it is not compacted away. @default false */
  previous?: boolean | undefined;
  /**
   * How many events may wait for the reader before the watch ends with a `WatchOverflowError`; at least 1.
   * @default 100000
   */
  maxBufferedEvents?: number | undefined;
  /** Closes the watch: the iteration rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
}

export interface WatchParts {
  readonly hub: WatchHub;
  readonly protocol: Protocol;
  readonly runtime: Runtime;
}

/**
 * The events of a range, read with `for await`; leaving the loop closes the watch. One reader: a second one throws.
 *
 * Guaranteed across all reconnects: every event once, in the order of revisions, all events of a revision in one batch.
 * The iteration rejects with `CompactedError` when the revisions that are missing were compacted away, `HistoryLostError`
 * when etcd was wiped or restored, `WatchOverflowError` when the reader was too slow, `PermissionDeniedError`, or
 * `ClientClosedError`: never silence. Whoever needs a state that mends itself takes a Mirror.
 *
 * Not guaranteed: a time. A link that dies without a word is noticed by its pings, within about 9 s.
 */
export class Watch implements AsyncIterable<WatchBatch>, AsyncDisposable {
  /** The revision that the watch starts after, once the server follows the range; rejects if it never does. */
  readonly ready: Promise<number>;
  readonly #parts: WatchParts;
  readonly #range: KeyRange;
  readonly #options: WatchOptions;
  readonly #maxBuffered: number;
  readonly #queue = new AsyncQueue<WatchBatch>((batch) => Math.max(1, batch.events.length));
  readonly #ready = quietDeferred<number>();
  readonly #evidence = new EventEvidence();
  readonly #closing = new AbortController();
  #feed: WatchFeed | undefined;
  #hasReader = false;

  /** Made by `EtcdClient.watch()`. */
  constructor(parts: WatchParts, range: KeyRange, options: WatchOptions) {
    checkRevision("watch", "startRevision", options.startRevision);
    checkRevision("watch", "maxBufferedEvents", options.maxBufferedEvents);
    this.#parts = parts;
    this.#range = range;
    this.#options = options;
    this.#maxBuffered = options.maxBufferedEvents ?? 100_000;
    this.ready = this.#ready.promise;
    const releases = [
      onAbort(options.signal, () => this.#end({ error: options.signal?.reason, discard: true })),
      parts.hub.onClose((error) => this.#end({ error })),
    ];
    onAbort(this.#closing.signal, () => {
      for (const release of releases) release();
    });
    if (!this.#closing.signal.aborted) void this.#start();
  }

  /** Ends the watch: the iteration finishes. Calling it again is harmless. */
  async close(): Promise<void> {
    this.#end({ discard: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @throws TypeError for a second reader */
  [Symbol.asyncIterator](): AsyncIterator<WatchBatch, undefined> {
    if (this.#hasReader) throw new TypeError("a watch has one reader; open another watch for another reader");
    this.#hasReader = true;
    return {
      next: () => this.#queue.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  async #start(): Promise<void> {
    const { hub } = this.#parts;
    const { startRevision, previous = false } = this.#options;
    let provenOn: object | undefined;
    let afterRevision: number;
    if (startRevision === undefined) {
      provenOn = hub.openStream;
      try {
        afterRevision = await this.#readRevision();
      } catch (error) {
        this.#end({ error });
        return;
      }
    } else {
      afterRevision = startRevision - 1;
    }
    if (this.#closing.signal.aborted) return;
    this.#feed = hub.follow({
      range: this.#range,
      previous,
      afterRevision,
      provenOn,
      evidence: () => this.#evidence.evidence(),
      onLive: () => this.#ready.resolve(afterRevision),
      onStale: () => {},
      onBatch: (batch) => this.#receive(batch),
      onEnd: (error) => {
        const untold = error instanceof CompactedError && error.compactRevision === undefined;
        if (untold && this.#feed) this.#askCompaction(this.#feed.revision, error);
        else this.#end({ error });
      },
    });
  }

  /**
   * The proof's reads are refused without a word about how far it is compacted. A watch from the revision that could not
   * be read is refused, too, and told.
   */
  #askCompaction(revision: number, untold: CompactedError): void {
    const { hub, runtime } = this.#parts;
    const end = (error: EtcdError) => this.#end({ error });
    this.#feed = hub.follow({
      range: this.#range,
      previous: false,
      afterRevision: revision - 1,
      provenOn: undefined,
      evidence: () => undefined,
      onLive: () => {},
      onStale: () => {},
      // From a member that does not know of the compaction yet.
      onBatch: () => end(untold),
      onEnd: end,
    });
    const limit = runtime.clock.timer(COMPACTION_LIMIT_MS, () => end(untold)).unref();
    onAbort(this.#closing.signal, () => limit.cancel());
  }

  /** Where "now" is: read once, linearizable, before anything is watched (GUARANTEES 4). */
  async #readRevision(): Promise<number> {
    const { protocol, runtime } = this.#parts;
    const { signal } = this.#closing;
    const backoff = new Backoff(runtime);
    for (;;) {
      try {
        const { revision, count } = await protocol.range({ range: this.#range, countOnly: true }, { signal });
        this.#evidence.read(revision, count);
        return revision;
      } catch (error) {
        if (!(error instanceof EtcdError) || !error.retryable) throw error;
      }
      await backoff.wait(signal);
    }
  }

  #receive(batch: WatchBatch): void {
    this.#evidence.saw(batch);
    this.#queue.push(batch);
    if (this.#queue.weight <= this.#maxBuffered) return;
    this.#end({ error: new WatchOverflowError(`more than ${this.#maxBuffered} events wait for the reader`) });
  }

  #end(end: { error?: unknown; discard?: boolean }): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new ClientClosedError("the watch was closed"));
    if (this.#feed) this.#parts.hub.unfollow(this.#feed);
    this.#queue.end(end);
    this.#ready.reject("error" in end ? end.error : new ClientClosedError("the watch was closed before it was ready"));
  }
}
