import { ClientClosedError } from "../errors/client-closed-error.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { HistoryLostError } from "../errors/history-lost-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { shown } from "../errors/shown.ts";
import { onAbort } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { channels } from "../internal/channels.ts";
import { quietDeferred } from "../internal/deferred.ts";
import { log } from "../internal/log.ts";
import { isRefusal } from "../internal/refusal.ts";
import { showAs } from "../internal/show-as.ts";
import { PageSize, pagedRange } from "../kv/index.ts";
import { toBytes } from "../model/bytes.ts";
import { keyName, prefixName } from "../model/key-name.ts";
import type { KeyRange } from "../model/key-range.ts";
import { type KeyValue, sameKeyValue } from "../model/key-value.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import type { FollowParts } from "./follow-parts.ts";
import type { HistoryEvidence } from "./history-evidence.ts";
import { KeptValues } from "./kept-values.ts";
import type { Mirror, MirrorOptions, MirrorStatus } from "./mirror.ts";
import { MirrorAudit } from "./mirror-audit.ts";
import { applyEvents, difference, type Entries, entryName, type MirrorBatch, type MirrorStep } from "./mirror-batch.ts";
import { mirrorEvidence } from "./mirror-evidence.ts";
import { MirrorReaders } from "./mirror-readers.ts";
import { RecentDeletions } from "./recent-deletions.ts";
import { StatusListener } from "./status-listener.ts";
import type { WatchFeed } from "./watch-feed.ts";

const debug = log("mirror");

/** How many mirrors this process has made. */
let made = 0;

/** A Mirror on the hub's stream: the list, the feed from its revision, and the readers of both. */
export class MultiplexedMirror implements Mirror {
  static {
    showAs(MultiplexedMirror, "Mirror", (it) => ({
      range: keyName(it.#range),
      status: it.status,
      revision: it.revision,
      size: it.size,
      staleForMs: Math.round(it.staleForMs),
    }));
  }

  readonly ready: Promise<void>;
  readonly #parts: FollowParts;
  readonly #range: KeyRange;
  readonly #listener: StatusListener<MirrorStatus>;
  readonly #ready = quietDeferred<void>();
  readonly #readers: MirrorReaders;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  readonly #pageSize = new PageSize();
  readonly #kept = new KeptValues();
  readonly #audit: MirrorAudit;
  #deletions = new RecentDeletions();
  /** What was asked last time proves the entries only by a sample of them. */
  #sampled = false;
  #entries: Entries = new Map();
  #snapshot: ReadonlyMap<string, KeyValue> | undefined;
  #revision = 0;
  #listed = false;
  #wasLive = false;
  #status: MirrorStatus = "connecting";
  #staleSinceMs: number | undefined;
  #feed: WatchFeed | undefined;
  readonly #id = ++made;
  #relistReason: "compacted" | "history-lost" = "compacted";

  constructor(parts: FollowParts, range: KeyRange, options: MirrorOptions) {
    this.#parts = parts;
    this.#range = range;
    this.#listener = new StatusListener(options.onStatus, "mirror", range, parts.runtime.clock);
    this.#readers = new MirrorReaders(options.maxBufferedChanges ?? 10_000);
    this.#staleSinceMs = parts.runtime.clock.monotonicMs();
    this.ready = this.#ready.promise;
    this.#backoff = new Backoff(parts.runtime, { initialMs: 100 });
    const { protocol, runtime } = parts;
    const onFault = (error: HistoryLostError) => this.#faulty(error);
    const entryNamed = (name: string) => this.#entries.get(name);
    const ofAudit = { protocol, runtime, range, pageSize: this.#pageSize };
    this.#audit = new MirrorAudit({ ...ofAudit, audited: this, entryNamed, onFault });
    const releases = [
      onAbort(options.signal, () => this.#end("closed", options.signal?.reason, options.signal)),
      parts.closing.on((error) => this.#end("failed", error)),
    ];
    onAbort(this.#closing.signal, () => {
      for (const release of releases) release();
    });
    if (!this.#closing.signal.aborted) void this.#resync();
  }

  get entries(): ReadonlyMap<string, KeyValue> {
    this.#snapshot ??= new Map(this.#entries);
    return this.#snapshot;
  }

  get(key: string): KeyValue | undefined {
    if (typeof key !== "string") {
      throw new InvalidOptionError("Mirror.get", "key", `must be the text of a key, not ${shown(key)}`);
    }
    // One that has U+FFFD in its own text stands under its bytes, as those do that are not UTF-8: a text that looks
    // like the name of such a one is another key.
    const name = key.includes("\ufffd") ? entryName({ key, keyBytes: toBytes(key) }) : key;
    return this.#entries.get(name);
  }

  get size(): number {
    return this.#entries.size;
  }

  get revision(): number {
    return this.#revision;
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  get staleForMs(): number {
    return this.#staleSinceMs === undefined ? 0 : this.#parts.runtime.clock.monotonicMs() - this.#staleSinceMs;
  }

  async close(): Promise<void> {
    this.#end("closed", new ClientClosedError("it was closed"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<MirrorBatch, undefined> {
    return this.#readers.iterator(() => (this.#listed ? this.#asSnapshot() : undefined));
  }

  /** Reads the list, publishes what changed and follows from there. A list that fails is read again, for ever. */
  async #resync(): Promise<void> {
    const { hub } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const provenOn = hub.openStream;
      let cause: EtcdError;
      try {
        const { kvs, revision } = await this.#list(signal);
        if (signal.aborted) return;
        this.#kept.listed(kvs);
        this.#relisted(new Map(kvs.map((kv) => [entryName(kv), kv])), revision);
        // Who hears of it, by a channel, may have closed it.
        if (!signal.aborted) this.#follow(provenOn);
        return;
      } catch (error) {
        if (signal.aborted) return;
        const waitsOut = error instanceof EtcdError && (error.retryable || isMoving(error));
        // What was permitted before will be again, once an operator has corrected it.
        if (!waitsOut && !(this.#wasLive && isRefusal(error))) {
          this.#end("failed", error);
          return;
        }
        cause = error as EtcdError;
        debug("the list failed: %s", cause.message);
        if (this.#status === "connecting" || isRefusal(cause)) this.#listener.notify(this.#status, cause);
      }
      await this.#backoff.wait(signal, { cause }).catch(() => {});
    }
  }

  /** Mirrors of single keys that list at the same time do so by one request. */
  async #list(signal: AbortSignal): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }> {
    const { protocol, reads } = this.#parts;
    const { start, end } = this.#range;
    if (end !== undefined) return pagedRange(protocol, this.#range, { signal, pageSize: this.#pageSize });
    const { kv, revision } = await reads.get(start, false, { signal });
    return { kvs: kv ? [kv] : [], revision };
  }

  #relisted(after: Entries, revision: number): void {
    const first = !this.#listed;
    const changes = difference(this.#entries, after, revision, sameKeyValue);
    this.#entries = after;
    this.#snapshot = undefined;
    this.#revision = revision;
    this.#listed = true;
    this.#audit.restart();
    this.#sampled = false;
    // It may be another history: what was deleted before, and when, says nothing of it.
    this.#deletions = new RecentDeletions();
    for (const kv of changes.deletes) this.#deletions.deleted(kv, undefined);
    for (const kv of changes.puts) this.#deletions.put(kv);
    // Also when nothing differs: what was made and deleted meanwhile shows in the revision alone.
    this.#readers.publish(first ? this.#asSnapshot() : changes);
    if (channels.mirrors.heard) this.#describe();
    if (channels.relists.heard) {
      const { puts, deletes } = changes;
      channels.relists.publish({
        ...this.#described(),
        reason: first ? "first" : this.#relistReason,
        size: after.size,
        puts: puts.length,
        deletes: deletes.length,
        revision,
      });
    }
  }

  #follow(provenOn: object | undefined): void {
    this.#feed = this.#parts.hub.follow({
      range: this.#range,
      space: this.#parts.space,
      previous: false,
      afterRevision: this.#revision,
      provenOn,
      waitsOutRefusals: this.#wasLive,
      evidence: () => this.#evidence(),
      onLive: () => {
        this.#wasLive = true;
        this.#backoff.succeeded();
        this.#audit.start(this.#sampled);
        this.#sampled = false;
        this.#ready.resolve();
        // Last: who hears of it may close it.
        this.#setStatus("live");
      },
      onStale: (error) => {
        this.#audit.stop();
        this.#setStatus(this.#status === "connecting" ? "connecting" : "stale", error);
      },
      onBatch: (batch) => this.#apply(batch),
      onEnd: (error) => this.#feedEnded(error),
    });
  }

  /** The entries are not what etcd has, though the history was proved: it was restored, and the proof was a sample. */
  #faulty(error: HistoryLostError): void {
    if (this.#feed) this.#parts.hub.unfollow(this.#feed);
    this.#feedEnded(error);
  }

  #feedEnded(error: EtcdError): void {
    this.#feed = undefined;
    this.#audit.stop();
    if (this.#closing.signal.aborted) return;
    if (error instanceof CompactedError || error instanceof HistoryLostError) {
      debug("listing anew: %s", error.message);
      this.#relistReason = error instanceof CompactedError ? "compacted" : "history-lost";
      this.#setStatus(this.#status === "connecting" ? "connecting" : "stale", error);
      // After a moment: an etcd that is compacted again and again is not listed in a loop.
      void this.#backoff.wait(this.#closing.signal).then(
        () => this.#resync(),
        () => {},
      );
    } else {
      this.#end("failed", error);
    }
  }

  #apply(batch: WatchBatch): void {
    this.#revision = batch.revision;
    const changes = applyEvents(this.#entries, batch.events, batch.revision);
    this.#kept.changed(this.#entries, batch.events, changes.droppedBytes);
    this.#audit.touched(batch.events);
    for (const { type, kv } of batch.events) {
      if (type === "put") this.#deletions.put(kv);
      else this.#deletions.deleted(kv, kv.modRevision);
    }
    if (batch.events.length > 0) {
      this.#snapshot = undefined;
      if (channels.mirrors.heard) this.#describe();
    }
    // Progress too: a reader that has had it knows that nothing happened up to its revision.
    this.#readers.publish(changes);
  }

  #asSnapshot(): MirrorStep {
    const puts = [...this.#entries.values()];
    // What is fresh does not matter: merged with what follows it stays a snapshot, which has no deletes.
    return { type: "snapshot", revision: this.#revision, puts, deletes: [], fresh: new Set() };
  }

  #evidence(): HistoryEvidence {
    const evidence = mirrorEvidence(this.#entries, this.#revision, this.#deletions);
    this.#sampled = evidence.whole === undefined;
    return evidence;
  }

  #describe(): void {
    const { status, size, revision, staleForMs } = this;
    channels.mirrors.publish({ ...this.#described(), status, size, revision, staleForMs });
  }

  #described(): { id: number; range: string; prefix: string | undefined } {
    return { id: this.#id, range: keyName(this.#range), prefix: prefixName(this.#range) };
  }

  #setStatus(status: MirrorStatus, error?: EtcdError): void {
    if (this.#status === "failed" || this.#status === "closed") return;
    const changed = this.#status !== status;
    this.#status = status;
    if (status === "live") this.#staleSinceMs = undefined;
    else this.#staleSinceMs ??= this.#parts.runtime.clock.monotonicMs();
    if (changed) debug("%s %s", status, error?.message ?? "");
    if (changed && channels.mirrors.heard) this.#describe();
    if (changed || error) this.#listener.notify(status, error);
  }

  /** @param signal that of the caller, whose reason is handed on as it is */
  #end(status: "failed" | "closed", cause: unknown, signal?: AbortSignal): void {
    if (this.#closing.signal.aborted) return;
    const reason = this.#listener.named(cause, signal);
    this.#closing.abort(reason);
    this.#audit.stop();
    if (this.#feed) this.#parts.hub.unfollow(this.#feed);
    this.#feed = undefined;
    this.#setStatus(status, cause instanceof EtcdError ? cause : undefined);
    this.#readers.end(status === "failed" ? { error: reason } : {});
    this.#ready.reject(reason);
  }
}

/**
 * The revision that was being read went away, or is not there yet on the member that was asked: another one will do.
 */
function isMoving(error: EtcdError): boolean {
  return error instanceof CompactedError || error instanceof FutureRevisionError;
}
