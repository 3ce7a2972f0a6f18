import {
  ClientClosedError,
  type EtcdError,
  EtcdTimeoutError,
  InvalidOptionError,
  type KeyValue,
  type Mirror,
  type MirrorBatch,
  type MirrorStatus,
  prefix as prefixRange,
} from "../../src/index.ts";
import { log, onAbort, quietDeferred, systemRuntime } from "../../src/internal/index.ts";
import type { PickRequest } from "../balancer/index.ts";
import { asError, type CommonEvents, Notifier, type RecipeClient, recipeClient } from "../common/index.ts";
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
  readonly #client: RecipeClient;
  readonly #ready = quietDeferred<void>();
  readonly #instances = new InstanceList<Metadata>();
  readonly #waiting = new Set<() => void>();
  readonly #closing = new AbortController();
  #mirror: Mirror | undefined;
  #listed = false;
  #revision = 0;
  #status: SubscribeStatus = "connecting";
  #closed: Promise<void> | undefined;

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
    this.ready = this.#ready.promise;
    this.#client = recipeClient(options.client);
    void this.#run();
  }

  get status(): SubscribeStatus {
    return this.#status;
  }

  /** Milliseconds since the list was last known to be followed; 0 while live. Before the first list: since the start. */
  get staleForMs(): number {
    return this.#mirror?.staleForMs ?? 0;
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
        if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
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
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    // Nothing may be told before the caller had a chance to listen.
    await null;
    if (this.#closing.signal.aborted) return;
    try {
      const mirror = this.#client.etcd.mirror(prefixRange(this.prefix), {
        onStatus: (status, error) => this.#mirrorStatus(status, error),
      });
      this.#mirror = mirror;
      for await (const batch of mirror) {
        // What was still on its way when it was closed is not told any more.
        if (this.#closing.signal.aborted) return;
        this.#apply(batch);
        if (batch.type !== "snapshot") continue;
        void mirror.ready.then(() => this.#ready.resolve()).catch(() => {});
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #mirrorStatus(status: MirrorStatus, error: EtcdError | undefined): void {
    if (status === "failed" || status === "closed") return;
    if (error) {
      debug("%s: %s", this.prefix, error.message);
      this.notify("warning", error);
    }
    this.#setStatus(status);
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
      if (!this.#closing.signal.aborted) tell();
    }
    if (this.#closing.signal.aborted) return;
    if (batch.type === "snapshot" || puts.length + deletes.length > 0) {
      if (this.listenerCount("change") > 0) this.notify("change", this.list(), { puts, deletes });
      for (const look of [...this.#waiting]) look();
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

  #setStatus(status: SubscribeStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    this.notify("status", status);
  }

  #fail(cause: unknown): void {
    if (this.#closing.signal.aborted) return;
    const error = asError(cause);
    this.#stop(error);
    this.#setStatus("failed");
    this.notify("failed", error);
    if (!this.#closed) void this.#client.release();
  }

  async #close(): Promise<void> {
    this.#stop(new ClientClosedError(`the subscription of ${this.prefix} was closed`));
    await this.#client.release();
    this.#setStatus("closed");
  }

  #stop(error: Error): void {
    this.#closing.abort(error);
    this.#ready.reject(error);
    void this.#mirror?.close();
    for (const look of [...this.#waiting]) look();
  }
}
