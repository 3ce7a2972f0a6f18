import type { CallOptions, MirrorStatus } from "../../src/index.ts";
import { runtimeOf, showAs } from "../../src/internal/index.ts";
import { type CommonEvents, Notifier, type RecipeClient, recipeClient } from "../recipe/index.ts";
import { type CacheNews, CacheTracker } from "./cache-tracker.ts";
import { type CacheExpirerOptions, type ExpireReason, resolveExpirer, resolveIdCall } from "./options.ts";

/**
 * `connecting`: no list yet. `live`: every change comes, and touches are free. `stale`: etcd is out of reach.
 * `failed`, `closed`: the end.
 */
export type CacheExpirerStatus = MirrorStatus;

export interface CacheExpirerEvents extends CommonEvents {
  /** `onExpire` has succeeded for this id. */
  cleaned: [id: string, reason: ExpireReason];
  status: [status: CacheExpirerStatus];
}

/**
 * Lets ids expire together that were not used for a while: build caches, for instance, seven days after their last use.
 *
 * ```ts
 * const caches = new CacheExpirer("cache/", {
 *   ttlSeconds: 7 * 24 * 3600,
 *   onExpire: (id) => rm(join(dir, id), { recursive: true, force: true }),
 *   known: () => readdir(dir),
 * });
 * await caches.track("proj-1"); // before its files are written
 * if (!(await caches.touch("proj-1"))) build(); // at each use; false: it is gone
 * ```
 *
 * Each id has a key under the prefix. What is touched within a 64th of the TTL shares a lease, a *bucket*: ten thousand
 * ids have 66 leases at most. A touch costs nothing when the key is in the bucket of now already; else it is a guarded
 * move, in a batch with others, and only ever to a later bucket. A track always asks etcd.
 *
 * Guaranteed: an id lives `ttlSeconds` at least after its last successful `track()` or `touch()`, whichever process did
 * it. While one tracker of the prefix runs and reaches etcd, what is not touched is gone two buckets later at most,
 * also when leader changes in etcd prolong every lease. `onExpire` is called for every id of this process's view that
 * is gone, also when it went during a disconnect, a compaction or a wipe; again after a failure; and only right after
 * etcd said that there is no key. `track()` takes back what was to be cleaned, and waits for an `onExpire` of its id
 * that runs, so it is never called for what was tracked in this process. `touch()` never brings a key back.
 *
 * Trackers of one prefix may have different TTLs, as in a rolling deploy: an id lives as long as any of them promised.
 * A tracker of a shorter TTL never makes it end earlier, and one of a longer TTL moves it on at its first touch.
 *
 * An id is whatever stands under the prefix. One with "." or ".." as a part, or a slash at its beginning, is
 * left out, with a `warning`: taken for a path, it would lead out of the folder.
 *
 * Not guaranteed: that `onExpire` is called only once for an expiry: a process that dies in between calls it again, as
 * `missing`. That no other process tracks an id while `onExpire` of this one runs: files that several processes share
 * want a lock. Clocks of the trackers must be within one bucket, that of the shortest TTL, of each other; a wall clock
 * that is set forward lets ids expire early. One that is set back does not, but an id that is not touched after that
 * comes as `evicted`, and one that is touched only when the clock has the time again at which it was put, within two
 * buckets, ends as much early as the clock went back. The reason is as good as can be known: a watch does not say why a
 * key went. What went before its time was evicted, by `evict()` or by hand; what was evicted but seen only after its
 * time (in an outage) comes as `expired`; of what is `missing` it is not known whether it expired, was evicted or was
 * lost with etcd's data.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before `ready`, `PermissionDeniedError` and
 * `UnauthenticatedError`; at any time `ClientClosedError`. An etcd that is out of reach is retried for ever; `status`
 * and `warning` say so. A role, a user or a password that is missing after `ready` is retried so too, after pauses that
 * grow to 30 s.
 */
export class CacheExpirer extends Notifier<CacheExpirerEvents> implements AsyncDisposable {
  static {
    showAs(CacheExpirer, "CacheExpirer", (it) => ({ prefix: it.prefix, status: it.status, size: it.size }));
  }

  /** Where the keys stand, always with a slash at its end. */
  readonly prefix: string;
  /**
   * Resolves when the list was read and is followed: what had ended before is being cleaned. Rejects when it never will
   * be. It may be left unused: `track()` and `touch()` work before it.
   */
  readonly ready: Promise<void>;
  readonly #client: RecipeClient;
  readonly #tracker: CacheTracker;
  #closed: Promise<void> | undefined;

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix `cache` is read as `cache/`, so that `cache2/a` is no neighbour
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: CacheExpirerOptions) {
    const resolved = resolveExpirer(prefix, options);
    const client = recipeClient(resolved.client);
    const runtime = runtimeOf(client.etcd);
    super(runtime.clock);
    this.prefix = resolved.prefix;
    this.#client = client;
    this.#tracker = new CacheTracker(client.etcd, resolved, runtime, (news) => this.#emit(news));
    this.ready = this.#tracker.ready;
  }

  get status(): CacheExpirerStatus {
    return this.#tracker.status;
  }

  /** How many ids are tracked, by all processes, as far as this one knows. */
  get size(): number {
    return this.#tracker.size;
  }

  /**
   * Begins to track an id, or touches it when it is tracked already. Etcd is asked each time: when it resolves, the key
   * was there after the call, whatever other processes evicted before it. To be called, and awaited, before its files
   * are written: what is on the disk and not tracked is cleaned at the next start. Takes back what was to be cleaned of
   * this id, and waits for an `onExpire` of it that runs; do not await it in there.
   *
   * @param id at most 65536 bytes, without a slash at its beginning, and without `.` and `..` as a part
   * @throws InvalidOptionError; ClientClosedError; what an EtcdClient's calls throw: then it may be tracked or not, and
   *   an `onExpire` of it may run although its key is there. Track it again before you rely on `touch()`
   */
  async track(id: string, options?: CallOptions): Promise<void> {
    return this.#tracker.track(id, resolveIdCall("CacheExpirer.track", id, options));
  }

  /**
   * Says that an id was used. Resolves without a request when its key is in the bucket of now already.
   *
   * @returns false when it is gone: track it and build it again
   * @throws as `track()` does; then its life may not have been prolonged
   */
  touch(id: string, options?: CallOptions): Promise<boolean> {
    try {
      return this.#tracker.touch(id, resolveIdCall("CacheExpirer.touch", id, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Deletes the key of an id, so that every tracker cleans it, as `evicted`. Also cleans one that is held back.
   *
   * @returns whether there was a key
   * @throws as `track()` does
   */
  async evict(id: string, options?: CallOptions): Promise<boolean> {
    return this.#tracker.evict(id, resolveIdCall("CacheExpirer.evict", id, options));
  }

  /**
   * Stops; keys and leases stay. Begins no `onExpire` any more and waits for those that run, 5 s at most; one that ends
   * later emits no `cleaned`. Calling it again is harmless.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #emit(news: CacheNews): void {
    switch (news.type) {
      case "status":
        this.notify("status", news.status);
        break;
      case "cleaned":
        this.notify("cleaned", news.id, news.reason);
        break;
      case "warning":
        this.notify("warning", news.error);
        break;
      case "failed":
        this.notify("failed", news.error);
        if (!this.#closed) void this.#client.release();
    }
  }

  async #close(): Promise<void> {
    await this.#tracker.end();
    await this.#client.release();
  }
}
