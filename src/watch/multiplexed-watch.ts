import { ClientClosedError } from "../errors/client-closed-error.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { WatchOverflowError } from "../errors/watch-overflow-error.ts";
import { onAbort } from "../internal/abort.ts";
import { AsyncQueue } from "../internal/async-queue.ts";
import { Backoff } from "../internal/backoff.ts";
import { quietDeferred } from "../internal/deferred.ts";
import { patientTimer } from "../internal/patient-timer.ts";
import { showAs } from "../internal/show-as.ts";
import { keyName } from "../model/key-name.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import { EventEvidence, type WatchEvidence } from "./event-evidence.ts";
import { FilteredEvidence } from "./filtered-evidence.ts";
import type { FollowParts } from "./follow-parts.ts";
import { StatusListener } from "./status-listener.ts";
import type { Watch, WatchOptions, WatchStatus } from "./watch.ts";
import type { WatchFeed } from "./watch-feed.ts";

/** How long a watch that ends waits to learn how far etcd is compacted. */
const COMPACTION_LIMIT_MS = 5_000;

/** A Watch on the hub's stream: it finds its start, gathers evidence for later proofs, and bounds what waits. */
export class MultiplexedWatch implements Watch {
  static {
    showAs(MultiplexedWatch, "Watch", (it) => ({ range: keyName(it.#range), status: it.#status }));
  }

  readonly ready: Promise<number>;
  readonly #parts: FollowParts;
  readonly #range: KeyRange;
  readonly #options: WatchOptions;
  readonly #maxBuffered: number;
  readonly #queue = new AsyncQueue<WatchBatch>((batch) => Math.max(1, batch.events.length));
  readonly #ready = quietDeferred<number>();
  readonly #evidence: WatchEvidence;
  readonly #closing = new AbortController();
  #feed: WatchFeed | undefined;
  #status: WatchStatus = "connecting";
  readonly #listener: StatusListener<WatchStatus>;
  #hasReader = false;

  constructor(parts: FollowParts, range: KeyRange, options: WatchOptions) {
    this.#parts = parts;
    this.#range = range;
    // Read once and at once: what reading throws is the caller's.
    this.#options = { ...options };
    this.#evidence = this.#options.filters?.length ? new FilteredEvidence() : new EventEvidence();
    this.#listener = new StatusListener(options.onStatus, "watch", range, parts.runtime.clock);
    this.#maxBuffered = options.maxBufferedEvents ?? 100_000;
    this.ready = this.#ready.promise;
    const releases = [
      onAbort(options.signal, () => this.#end({ error: options.signal?.reason, discard: true })),
      parts.closing.on((error) => this.#end({ error })),
    ];
    onAbort(this.#closing.signal, () => {
      for (const release of releases) release();
    });
    if (!this.#closing.signal.aborted) void this.#start();
  }

  async close(): Promise<void> {
    this.#end({ discard: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

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
    const { startRevision, previous = false, filters = [] } = this.#options;
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
      space: this.#parts.space,
      previous,
      filters,
      afterRevision,
      provenOn,
      evidence: () => this.#evidence.evidence(),
      onLive: () => {
        this.#ready.resolve(afterRevision);
        this.#notify("live");
      },
      onStale: (error) => this.#notify(this.#status === "connecting" ? "connecting" : "stale", error),
      onBatch: (batch) => this.#receive(batch),
      onEnd: (error) => {
        const compacted = error instanceof CompactedError;
        const revision = this.#feed?.revision ?? afterRevision;
        // "Now" cannot be compacted, but etcd may have been before the watch was there.
        if (compacted && startRevision === undefined && this.#status === "connecting" && revision === afterRevision) {
          void this.#start();
        } else if (compacted && error.compactRevision === undefined) this.#askCompaction(revision, error);
        else this.#end({ error });
      },
    });
  }

  /**
   * The proof's reads are refused without a word about how far it is compacted. A watch from the revision that could
   * not be read is refused, too, and reported.
   */
  #askCompaction(revision: number, untold: CompactedError): void {
    const { hub, runtime } = this.#parts;
    const end = (error: EtcdError) => this.#end({ error });
    this.#feed = hub.follow({
      range: this.#range,
      space: this.#parts.space,
      previous: false,
      afterRevision: revision - 1,
      provenOn: undefined,
      waitsOutRefusals: true,
      evidence: () => undefined,
      onLive: () => {},
      onStale: () => {},
      // From a member that does not know of the compaction yet.
      onBatch: () => end(untold),
      onEnd: end,
    });
    const limit = patientTimer(runtime.clock, COMPACTION_LIMIT_MS, () => end(untold)).unref();
    onAbort(this.#closing.signal, () => limit.cancel());
  }

  /** Where "now" is: read once, linearizable, before anything is watched (GUARANTEES 4). */
  async #readRevision(): Promise<number> {
    const { counts, runtime } = this.#parts;
    const { signal } = this.#closing;
    const backoff = new Backoff(runtime);
    for (;;) {
      try {
        const { revision, count } = await counts.of(this.#range, { signal });
        this.#evidence.read(revision, count);
        return revision;
      } catch (error) {
        if (!(error instanceof EtcdError) || !error.retryable) throw error;
        this.#notify("connecting", error);
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

  #notify(status: WatchStatus, error?: EtcdError): void {
    if (this.#closing.signal.aborted) return;
    this.#status = status;
    this.#listener.notify(status, error);
  }

  #end(end: { error?: unknown; discard?: boolean }): void {
    if (this.#closing.signal.aborted) return;
    const closed = (how: string) => this.#listener.named(new ClientClosedError(`it was closed${how}`));
    this.#closing.abort(closed(""));
    if (this.#feed) this.#parts.hub.unfollow(this.#feed);
    const named = "error" in end ? { ...end, error: this.#listener.named(end.error, this.#options.signal) } : end;
    this.#queue.end(named);
    this.#ready.reject("error" in named ? named.error : closed(" before it was ready"));
  }
}
