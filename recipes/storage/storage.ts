import {
  type CallOptions,
  ClientClosedError,
  type KeyValue,
  type Lease,
  type LeaseId,
  LeaseNotFoundError,
  type LeaseTimeToLive,
} from "../../src/index.ts";
import { runtimeOf, showAs, timedCalls } from "../../src/internal/index.ts";
import { DetachedLeases } from "../leases/index.ts";
import {
  type CommonEvents,
  Notifier,
  type RecipeClient,
  type RecipeClientOptions,
  recipeClient,
  setWhole,
} from "../recipe/index.ts";
import {
  changeKey,
  deleteIfUnchanged,
  type GuardedPut,
  laterCompareBytes,
  putIfUnchanged,
  requestRoom,
} from "../writes/index.ts";
import {
  type OnDelete,
  type OnPut,
  resolveKeyCall,
  resolveStorage,
  resolveTouch,
  resolveWatch,
  resolveWrite,
  type StoragePutOptions,
  type StorageTouchOptions,
  type StorageWatchOptions,
} from "./options.ts";
import { RunningWatch, type StorageWatch } from "./storage-watch.ts";

/** A touch names the lease and the revision of what was put. */
const TOUCH_BYTES = 64;

/**
 * Keys with text values that can expire, and callbacks that hear of them.
 *
 * ```ts
 * const storage = new Storage();
 * const watching = storage.watch("cache/", (id, value) => {}, (id, last) => CleanCache(id));
 * await watching.ready;
 * await storage.put("cache/proj-1", "/data/proj-1", { ttlSeconds: 7 * 24 * 3600 });
 * ```
 *
 * Guaranteed: once `ready` has resolved, every deletion comes to `onDelete` at least once within the life of the
 * process, also one that happened during a disconnect, a compaction or in a wiped etcd. The callbacks of one id run one
 * after the other, in etcd's order; those of different ids in parallel. One that throws, or whose promise rejects, is
 * reported as a `warning` and called again, after random delays that grow to 30 s, until it succeeds or a newer change
 * of the same id makes a put out of date; other ids do not wait for it. A key with a TTL lives for that time at least
 * after its last put or touch. No write lands over another owner's newer one, however late it arrives.
 *
 * Not guaranteed: that a callback is called only once for a deletion, or that every value in between comes: after an
 * outage, to a process that is too slow, and behind a callback that fails, only what differs in the end. Nor that a key
 * is gone at its TTL: keys share leases, which adds a 32nd of the TTL and two seconds, up to four more where etcd is
 * slow to grant them, and a leader change in etcd gives a lease its whole time again. What happened while no process
 * watched does not come: see CacheExpirer, which knows what is on the disk.
 *
 * Errors that end a watch, by `failed` and by rejecting its `ready`: before `ready`, `PermissionDeniedError` and
 * `UnauthenticatedError`; at any time `ClientClosedError`. An etcd that is out of reach emits `warning` and is retried
 * for ever; so is a role, a user or a password that is missing after `ready`, after pauses that grow to 30 s.
 */
export class Storage extends Notifier<CommonEvents> implements AsyncDisposable {
  static {
    showAs(Storage, "Storage", (it) => ({ closed: it.#closed !== undefined }));
  }

  readonly #client: RecipeClient;
  readonly #leases: DetachedLeases;
  readonly #watches = new Set<StorageWatch>();
  #closed: Promise<void> | undefined;

  /** @throws InvalidOptionError that names the option, before any I/O */
  constructor(options: RecipeClientOptions = {}) {
    const client = recipeClient(resolveStorage(options).client);
    super(runtimeOf(client.etcd).clock);
    this.#client = client;
    this.#leases = DetachedLeases.of(this.#client.etcd);
  }

  /**
   * Follows the keys under a prefix; opens now.
   *
   * @param prefix `cache` is read as `cache/`, so that `cache2/a` is no neighbour
   * @param onPut called with each put; a touch that moves a key to another lease is one too
   * @param onDelete called with each key that is gone, expired or deleted
   * @throws InvalidOptionError; ClientClosedError
   */
  watch(prefix: string, onPut: OnPut, onDelete: OnDelete, options: StorageWatchOptions = {}): StorageWatch {
    const resolved = resolveWatch(prefix, onPut, onDelete, options);
    this.#checkOpen();
    const watch = new RunningWatch({
      etcd: this.#client.etcd,
      options: resolved,
      onPut,
      onDelete,
      notify: (name, error) => this.notify(name, error),
      onClosed: (ended) => this.#watches.delete(ended),
    });
    setWhole(watch, this);
    this.#watches.add(watch);
    return watch;
  }

  /**
   * Writes one key, of at most 65536 bytes. With `ttlSeconds` it is put on a detached lease, which outlives the
   * process.
   *
   * @throws InvalidOptionError; ClientClosedError; what an EtcdClient's calls throw, RequestRefusedError among it for a
   *   value larger than etcd takes (about 1.5 MiB, with room for a later `touch()`). After an error with
   *   `outcomeUnknown: true`, or an abort, it may have been written, or be written later unless another process has
   */
  async put(key: string, value: string, options: StoragePutOptions = {}): Promise<{ revision: number }> {
    const { ttlSeconds, ...call } = resolveWrite("Storage.put", key, value, options);
    this.#checkOpen();
    return timedCalls(this.#client.etcd, `the put of ${key}`, call, (limit) =>
      changeKey(this.#client.etcd, key, limit, async (known) => {
        const roomBytes = TOUCH_BYTES + laterCompareBytes(key, known);
        const room = requestRoom(key, Buffer.byteLength(value), roomBytes);
        const revision = await this.#write(key, known, { value, room }, ttlSeconds, limit);
        return revision === undefined ? undefined : { revision };
      }),
    );
  }

  /** @returns the value, or undefined when there is no such key */
  async get(key: string, options: CallOptions = {}): Promise<string | undefined> {
    const call = resolveKeyCall("Storage.get", key, options);
    this.#checkOpen();
    return (await this.#client.etcd.get(key, call))?.text;
  }

  /**
   * Deletes one key; every watch hears of it.
   *
   * @returns whether it was there
   * @throws as `put()` does
   */
  async delete(key: string, options: CallOptions = {}): Promise<boolean> {
    const call = resolveKeyCall("Storage.delete", key, options);
    this.#checkOpen();
    return timedCalls(this.#client.etcd, `the deletion of ${key}`, call, (limit) =>
      changeKey(this.#client.etcd, key, limit, async (known) => {
        if (!known) return false;
        const deleted = await deleteIfUnchanged(this.#client.etcd, key, known, limit);
        return deleted === undefined ? undefined : true;
      }),
    );
  }

  /**
   * Lets a key live for its TTL from now on; never shorter than it would have. It never brings a key back, and does
   * nothing to one without a TTL. Without `ttlSeconds` the TTL is that of the last put or touch through this client;
   * of another client's key it is read from the lease, which can be up to four seconds more where etcd took long to
   * grant it: name it where processes touch each other's keys.
   *
   * @returns whether it was there
   * @throws as `put()` does
   */
  async touch(key: string, options: StorageTouchOptions = {}): Promise<boolean> {
    const { ttlSeconds, ...call } = resolveTouch("Storage.touch", key, options);
    this.#checkOpen();
    return timedCalls(this.#client.etcd, `the touch of ${key}`, call, (limit) =>
      changeKey(this.#client.etcd, key, limit, async (known) => {
        if (!known) return false;
        const { lease } = known;
        if (!lease) return true;
        const left = await this.#timeToLive(lease, limit);
        // Its lease ended since: it is read again.
        if (!left) return undefined;
        const seconds = ttlSeconds ?? this.#leases.ttlOf(lease, left.grantedSeconds);
        if (left.remainingSeconds >= seconds) return true;
        const moved = await this.#write(key, known, { value: known.value }, seconds, limit);
        return moved === undefined ? undefined : true;
      }),
    );
  }

  /** Ends the watches, see `StorageWatch.close()`. Calling it again is harmless. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes if the key is still as it was known. @returns the revision, or undefined when it is not */
  async #write(
    key: string,
    known: KeyValue | undefined,
    put: GuardedPut,
    ttlSeconds: number | undefined,
    limit: CallOptions,
  ): Promise<number | undefined> {
    const { etcd } = this.#client;
    const write = (lease?: Lease) => putIfUnchanged(etcd, key, known, { ...put, lease }, limit);
    return ttlSeconds === undefined ? write() : this.#leases.use(ttlSeconds, limit, write);
  }

  async #timeToLive(lease: LeaseId, limit: CallOptions): Promise<LeaseTimeToLive | undefined> {
    try {
      return await this.#client.etcd.leaseTimeToLive(lease, { ...limit, keys: false });
    } catch (error) {
      if (error instanceof LeaseNotFoundError) return undefined;
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClientClosedError("the storage was closed");
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch.close()));
    await this.#client.release();
  }
}
