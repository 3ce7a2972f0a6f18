import {
  ClientClosedError,
  type EtcdError,
  type KeyValue,
  type MirrorBatch,
  type MirrorStatus,
} from "../../src/index.ts";
import { asError, log, quietDeferred, type Runtime, runtimeOf } from "../../src/internal/index.ts";
import type { RecipeClient } from "../recipe/index.ts";
import { ReadPosition } from "./read-position.ts";
import { SharedMirror } from "./shared-mirror.ts";

const debug = log("follow");

export interface PrefixFollowerParts {
  /** Of which recipe, for people: "the subscription". */
  readonly what: string;
  readonly prefix: string;
  /** Released at the end. */
  readonly client: RecipeClient;
  /** Each step of what stands under the prefix, the first list too. */
  onBatch(batch: MirrorBatch): void;
  onStatus(status: MirrorStatus): void;
  onWarning(error: Error): void;
  /** The end, by what a retry cannot mend. */
  onFailed(error: Error): void;
}

/**
 * A prefix that is followed in the background of a recipe: started after the caller had a chance to listen, ended by
 * `close()` or by what a retry cannot mend, and then silent but for the status. Its Mirror is shared with all others that
 * follow the prefix through the same client. One that joins a mirror gets what that has at once, of whatever age, and is
 * live only when that is as new as a linearizable read which was made since.
 */
export class PrefixFollower {
  /** Resolves when what was handed on is all that etcd had when this was made, or more, and is followed. */
  readonly ready: Promise<void>;
  readonly #parts: PrefixFollowerParts;
  readonly #ready = quietDeferred<void>();
  readonly #ending = new AbortController();
  readonly #onStatus = (status: MirrorStatus, error?: EtcdError) => this.#mirrorStatus(status, error);
  readonly #position = new ReadPosition();
  readonly #runtime: Runtime;
  #shared: SharedMirror | undefined;
  #reader: AsyncIterator<MirrorBatch, undefined> | undefined;
  #listed = false;
  /** Whether what was handed on is as new as this follower. */
  #isNew: boolean;
  #end: { readonly atMs: number; readonly staleForMs: number } | undefined;
  #status: MirrorStatus = "connecting";
  #closed: Promise<void> | undefined;

  constructor(parts: PrefixFollowerParts) {
    this.#parts = parts;
    this.#runtime = runtimeOf(parts.client.etcd);
    this.ready = this.#ready.promise;
    // The list of a mirror that is made later is read later, too.
    this.#isNew = !SharedMirror.exists(parts.client.etcd, parts.prefix);
    void this.#run();
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  /** Milliseconds since the prefix was last known to be followed; 0 while live. Before the first list: since the start. */
  get staleForMs(): number {
    if (this.#end) return this.#end.staleForMs + this.#runtime.clock.monotonicMs() - this.#end.atMs;
    return this.#shared?.mirror.staleForMs ?? 0;
  }

  /** What all who share the prefix have made of each entry; undefined while nobody else does. See SharedMirror. */
  made(how: object): WeakMap<KeyValue, unknown> | undefined {
    return this.#shared?.made(how);
  }

  /** Aborts at the end; its reason says why it ended. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** A key as it is now; it may be newer than the last batch. */
  get(key: string): KeyValue | undefined {
    return this.#shared?.mirror.get(key);
  }

  /**
   * Resolves when it is ready and all that etcd had at the call was handed on, or more, however long that takes.
   *
   * @throws the reason of the end; what a retry cannot mend
   */
  async caughtUp(): Promise<void> {
    await this.ready;
    if (this.#shared) await this.#catchUp(this.#shared);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #run(): Promise<void> {
    const { prefix, client } = this.#parts;
    // Nothing may be told before the caller had a chance to listen.
    await null;
    if (this.ended.aborted) return;
    try {
      const shared = SharedMirror.use(client.etcd, prefix, this.#onStatus);
      this.#shared = shared;
      if (!this.#isNew) void this.#join(shared);
      const reader = shared.mirror[Symbol.asyncIterator]();
      this.#reader = reader;
      for await (const batch of { [Symbol.asyncIterator]: () => reader }) {
        // What was still on its way when it was closed is not told any more.
        if (this.ended.aborted) return;
        this.#parts.onBatch(batch);
        this.#position.handled(batch);
        if (this.#listed || this.ended.aborted) continue;
        this.#listed = true;
        // One that others follow already may be live, or stale, for long.
        this.#mirrorStatus(shared.mirror.status);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #join(shared: SharedMirror): Promise<void> {
    try {
      await this.#catchUp(shared);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isNew = true;
    this.#mirrorStatus(shared.mirror.status);
  }

  #catchUp(shared: SharedMirror): Promise<void> {
    const onWarning = (error: Error) => this.#parts.onWarning(error);
    return this.#position.catchUp({ shared, runtime: this.#runtime, signal: this.ended, onWarning });
  }

  #mirrorStatus(status: MirrorStatus, error?: EtcdError): void {
    // The end is told by the iteration, after what came before it.
    if (status === "failed" || status === "closed" || this.ended.aborted) return;
    if (error) {
      debug("%s: %s", this.#parts.prefix, error.message);
      this.#parts.onWarning(error);
    }
    if (status === "live") this.#position.revived();
    // The first list is told before it is said to be followed.
    if (status === "live" && !(this.#listed && this.#isNew)) return;
    this.#setStatus(status);
    if (status === "live") this.#ready.resolve();
  }

  #setStatus(status: MirrorStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    this.#parts.onStatus(status);
  }

  #fail(cause: unknown): void {
    if (this.ended.aborted) return;
    const error = asError(cause);
    this.#stop(error);
    this.#setStatus("failed");
    this.#parts.onFailed(error);
    if (!this.#closed) void this.#parts.client.release();
  }

  async #close(): Promise<void> {
    this.#stop(new ClientClosedError(`${this.#parts.what} of ${this.#parts.prefix} was closed`));
    await this.#parts.client.release();
    this.#setStatus("closed");
  }

  #stop(error: Error): void {
    this.#end ??= { atMs: this.#runtime.clock.monotonicMs(), staleForMs: this.staleForMs };
    this.#ending.abort(error);
    this.#ready.reject(error);
    // Others may go on with the mirror: it is this reader that ends.
    void this.#reader?.return?.();
    this.#shared?.release(this.#onStatus);
  }
}
