import {
  EtcdTimeoutError,
  InvalidOptionError,
  type KeyValue,
  type MirrorBatch,
  type MirrorStatus,
} from "../../src/index.ts";
import { log, onAbort, quietDeferred, systemRuntime } from "../../src/internal/index.ts";
import type { PickRequest } from "../balancer/index.ts";
import { asError, type CommonEvents, Notifier, PrefixFollower, recipeClient } from "../common/index.ts";
import { decodeRegistration, InvalidValueError } from "../registration-format/index.ts";
import { InstanceList } from "./instance-list.ts";
import { NoServersError } from "./no-servers-error.ts";
import {
  type ResolvedSubscribe,
  resolveSubscribe,
  resolveUntil,
  type SubscribeServiceOptions,
  type UntilOptions,
} from "./options.ts";
import { type ServiceInstance, toInstance } from "./service-instance.ts";
import { validateMetadata } from "./standard-schema.ts";

const debug = log("subscribe");

/**
 * `connecting`: no list yet. `live`: etcd tells of every change. `stale`: etcd is out of reach, the list is the last good
 * one, see `staleForMs`. `failed`, `closed`: the end.
 */
export type SubscribeStatus = MirrorStatus;

/** What one batch of changes did to the list. */
export interface ServiceChanges<Metadata = unknown> {
  readonly puts: readonly ServiceInstance<Metadata>[];
  /** As they were last. */
  readonly deletes: readonly ServiceInstance<Metadata>[];
}

export interface SubscribeServiceEvents<Metadata = unknown> extends CommonEvents {
  /** An instance came, or changed: then `previous` is what it was. */
  put: [instance: ServiceInstance<Metadata>, previous?: ServiceInstance<Metadata>];
  /** An instance is gone; this is what it was last. */
  delete: [last: ServiceInstance<Metadata>];
  /** Once for each batch, after its puts and deletes; the list is frozen. Also once for the first list, however long. */
  change: [list: readonly ServiceInstance<Metadata>[], changes: ServiceChanges<Metadata>];
  /** A key under the prefix cannot be read as an instance, so it is kept out of the list. */
  invalid: [key: string, error: Error];
  status: [status: SubscribeStatus];
}

/**
 * The list of the services under a prefix, kept true.
 *
 * ```ts
 * const services = new SubscribeService("/publictest/pipeline/");
 * await services.ready;
 * services.on("change", (list) => console.log(list.map(({ address }) => address)));
 * const { address } = services.pick();
 * ```
 *
 * Guaranteed: after the first, the list is one that etcd had; no change is missed, whatever happens to the connection or to
 * etcd. Events are told in etcd's order, one batch after the other, and the list is already the new one when they are. An
 * instance that was deleted and made again is told as `delete`, then `put`. In an outage the last good list stays, with its
 * age. One value that cannot be read is kept out and reported, and hurts nothing else. No listener, and no promise that
 * nobody awaits, can end the process.
 *
 * Not guaranteed: that a listed service answers. A dead one stays until its lease ends. Nor that every state in between is
 * told: after an outage, and to a process that is too slow, only what differs.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: `PermissionDeniedError`, `UnauthenticatedError`,
 * `ClientClosedError`, `InvalidOptionError` for a metadata schema that turns out to be asynchronous. An etcd that is out of
 * reach is retried for ever and told by `status` and `warning`.
 */
export class SubscribeService<Metadata = unknown>
  extends Notifier<SubscribeServiceEvents<Metadata>>
  implements AsyncDisposable
{
  /** What is followed, always with a slash at its end. */
  readonly prefix: string;
  /**
   * Resolves when the first list was told and is followed, however long that takes; rejects when it never will be: not
   * permitted, closed. It may be left unused.
   */
  readonly ready: Promise<void>;
  readonly #options: ResolvedSubscribe<Metadata>;
  readonly #follower: PrefixFollower;
  readonly #instances = new InstanceList<Metadata>();
  readonly #waiting = new Set<() => void>();
  #listed = false;
  #revision = 0;

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix `/svc` is read as `/svc/`, so that `/svc2/a` is no neighbour
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: SubscribeServiceOptions<Metadata> = {}) {
    super();
    this.#options = resolveSubscribe<Metadata>(prefix, options);
    this.prefix = this.#options.prefix;
    this.#follower = new PrefixFollower({
      what: "the subscription",
      prefix: this.prefix,
      client: recipeClient(options.client),
      onBatch: (batch) => this.#apply(batch),
      onStatus: (status) => this.notify("status", status),
      onWarning: (error) => this.notify("warning", error),
      onFailed: (error) => this.notify("failed", error),
    });
    this.ready = this.#follower.ready;
    onAbort(this.#follower.ended, () => this.#lookAll());
  }

  get status(): SubscribeStatus {
    return this.#follower.status;
  }

  /** Milliseconds since the list was last known to be followed; 0 while live. Before the first list: since the start. */
  get staleForMs(): number {
    return this.#follower.staleForMs;
  }

  /** Everything that etcd did up to this revision is in the list; 0 before the first. It moves when something changes. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * All instances in the order of keys, draining ones included; empty before the first list. Frozen, and so is each
   * instance, but not what is in its metadata; the same array as long as nothing changes.
   */
  list(): readonly ServiceInstance<Metadata>[] {
    return this.#instances.all();
  }

  /**
   * One instance that is not draining, by the strategy. Also from the last good list, in an outage.
   *
   * @throws NoServersError when there is none, also before the first list; what a strategy of the user's own throws
   */
  pick(request: PickRequest = {}): ServiceInstance<Metadata> {
    const available = this.#instances.available();
    if (available.length === 0) {
      const listed = this.#instances.all().length;
      throw new NoServersError(
        listed === 0 ? `no service under ${this.prefix}` : `all ${listed} services under ${this.prefix} are draining`,
      );
    }
    return this.#options.balancer.pick(available, request);
  }

  /**
   * Waits until the list is as wanted; looks at once, or when the first list is there, then after each batch.
   *
   * @returns the list that was as wanted
   * @throws EtcdTimeoutError after `timeoutMs`; `signal.reason`; ClientClosedError when closed meanwhile; the failure after
   *   `failed`; what `predicate` throws; InvalidOptionError
   */
  async until(
    predicate: (list: readonly ServiceInstance<Metadata>[]) => boolean,
    options: UntilOptions = {},
  ): Promise<readonly ServiceInstance<Metadata>[]> {
    const { timeoutMs, signal } = resolveUntil(predicate, options);
    signal?.throwIfAborted();
    const wanted = quietDeferred<readonly ServiceInstance<Metadata>[]>();
    const look = () => {
      try {
        this.#follower.ended.throwIfAborted();
        if (!this.#listed) return;
        const list = this.list();
        if (predicate(list)) wanted.resolve(list);
      } catch (error) {
        wanted.reject(error);
      }
    };
    const timer =
      timeoutMs === undefined
        ? undefined
        : systemRuntime.clock.timer(timeoutMs, () =>
            wanted.reject(
              new EtcdTimeoutError(`the list under ${this.prefix} did not become as wanted within ${timeoutMs} ms`),
            ),
          );
    const release = onAbort(signal, () => wanted.reject(signal?.reason));
    this.#waiting.add(look);
    try {
      look();
      return await wanted.promise;
    } finally {
      this.#waiting.delete(look);
      timer?.cancel();
      release();
    }
  }

  /** Stops following; the list stays as it is, and nothing is told any more but `status`. Calling it again is harmless. */
  async close(): Promise<void> {
    await this.#follower.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #apply(batch: MirrorBatch): void {
    const deletes: ServiceInstance<Metadata>[] = [];
    const puts: ServiceInstance<Metadata>[] = [];
    const told: (() => void)[] = [];
    const remove = (key: string) => {
      const last = this.#instances.get(key);
      if (!last) return;
      this.#instances.delete(key);
      deletes.push(last);
      told.push(() => this.notify("delete", last));
    };
    for (const kv of batch.deletes) remove(kv.key);
    for (const kv of batch.puts) {
      const instance = this.#read(kv, told);
      if (!instance) {
        remove(kv.key);
        continue;
      }
      const previous = this.#instances.get(kv.key);
      this.#instances.set(instance);
      puts.push(instance);
      told.push(() => (previous ? this.notify("put", instance, previous) : this.notify("put", instance)));
    }
    this.#listed = true;
    this.#revision = batch.revision;
    for (const tell of told) {
      // A listener may close it.
      if (!this.#follower.ended.aborted) tell();
    }
    if (this.#follower.ended.aborted) return;
    if (batch.type === "snapshot" || puts.length + deletes.length > 0) {
      if (this.listenerCount("change") > 0) this.notify("change", this.list(), { puts, deletes });
      this.#lookAll();
    }
  }

  /** Undefined for what cannot be read, which is told in its turn. */
  #read(kv: KeyValue, told: (() => void)[]): ServiceInstance<Metadata> | undefined {
    const id = kv.key.slice(this.prefix.length);
    try {
      if (id === "") throw new InvalidValueError("the key is the prefix itself and names no instance");
      // Two such keys can read the same, and a text that is not the key finds nothing in etcd.
      if (kv.key.includes("\ufffd")) throw new InvalidValueError("the key is not UTF-8");
      const registration = decodeRegistration(kv.text);
      const schema = this.#options.metadata;
      const metadata = schema ? validateMetadata(schema, registration.metadata) : (registration.metadata as Metadata);
      return toInstance(kv, id, registration, metadata);
    } catch (error) {
      // A schema that cannot be used at all is a mistake in the program, not in one value.
      if (error instanceof InvalidOptionError) throw error;
      debug("%s is kept out: %s", kv.key, (error as Error).message);
      told.push(() => this.notify("invalid", kv.key, asError(error)));
      return undefined;
    }
  }

  /** All who wait for a list that is as they want it. */
  #lookAll(): void {
    for (const look of [...this.#waiting]) look();
  }
}
