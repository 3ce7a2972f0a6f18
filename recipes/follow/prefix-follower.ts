import {
  ClientClosedError,
  type EtcdError,
  type KeyValue,
  type MirrorBatch,
  type MirrorStatus,
} from "../../src/index.ts";
import { asError, log, quietDeferred, type Runtime, runtimeOf } from "../../src/internal/index.ts";
import type { RecipeClient } from "../recipe/index.ts";
import { PrefixMirror } from "./prefix-mirror.ts";
import { ReadPosition } from "./read-position.ts";

const debug = log("follow");

/** A batch: a step of what stands under the prefix, the first list too. The others: how it goes. */
export type FollowNews =
  | MirrorBatch
  | { readonly type: "status"; readonly status: MirrorStatus }
  /** What is retried. */
  | { readonly type: "warning"; readonly error: Error }
  /** The end, by what no retry can change. */
  | { readonly type: "failed"; readonly error: Error };

export interface PrefixFollowerParts {
  /** Of which recipe, for people: "the subscription". */
  readonly what: string;
  readonly prefix: string;
  /** Released at the end. */
  readonly client: RecipeClient;
  /** `shared` with all others that follow the prefix through the same client so, or its `own`. */
  readonly mirror: "shared" | "own";
  /**
   * When it returns a promise for a batch, the next batch comes after that; if much happens meanwhile, as one
   * `resynced` batch. What it throws for a batch ends the follower.
   */
  onNews(news: FollowNews): Promise<void> | void;
}

/**
 * A prefix that is followed in the background of a recipe: started after the caller had a chance to listen, ended by
 * `close()` or by what no retry can change, and then silent but for the status. One that joins a shared mirror gets
 * what that has at once, of whatever age, and is live only when that is as new as a linearizable read which was made
 * since.
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
  #followed: PrefixMirror | undefined;
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
    this.#isNew = parts.mirror === "own" || !PrefixMirror.exists(parts.client.etcd, parts.prefix);
    void this.#run();
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  /**
   * Milliseconds since the prefix was last known to be followed; 0 while live. Before the first list: since the start.
   */
  get staleForMs(): number {
    if (this.#end) return this.#end.staleForMs + this.#runtime.clock.monotonicMs() - this.#end.atMs;
    return this.#followed?.mirror.staleForMs ?? 0;
  }

  /** What all who share the prefix have made of each entry; undefined while it is not shared. See PrefixMirror. */
  made(how: object): WeakMap<KeyValue, unknown> | undefined {
    return this.#followed?.made(how);
  }

  /** Aborts at the end; its reason says why it ended. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** All that stands there now; it may be newer than the last batch. */
  entries(): Iterable<KeyValue> {
    return this.#followed?.mirror.entries.values() ?? [];
  }

  /** A key as it is now; it may be newer than the last batch. */
  get(key: string): KeyValue | undefined {
    return this.#followed?.mirror.get(key);
  }

  /**
   * Resolves when it is ready and all that etcd had at the call was handed on, or more, however long that takes. Once
   * it is ready, it waits out refusals as what is followed does.
   *
   * @throws the reason of the end; what no retry can change
   */
  async caughtUp(): Promise<void> {
    await this.ready;
    if (this.#followed) await this.#catchUp(this.#followed, true);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #run(): Promise<void> {
    const { prefix, client, mirror } = this.#parts;
    // Nothing may be emitted before the caller had a chance to listen.
    await null;
    if (this.ended.aborted) return;
    try {
      const followed = PrefixMirror[mirror](client.etcd, prefix, this.#onStatus);
      this.#followed = followed;
      if (!this.#isNew) void this.#join(followed);
      const reader = followed.mirror[Symbol.asyncIterator]();
      this.#reader = reader;
      for await (const batch of { [Symbol.asyncIterator]: () => reader }) {
        // What was still on its way when it was closed is not emitted any more.
        if (this.ended.aborted) return;
        const handling = this.#parts.onNews(batch);
        this.#handedOn(batch, followed);
        if (handling) await handling;
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #handedOn(batch: MirrorBatch, { mirror }: PrefixMirror): void {
    this.#position.handled(batch);
    if (this.#listed || this.ended.aborted) return;
    this.#listed = true;
    // One that others follow already may be live, or stale, for long.
    this.#mirrorStatus(mirror.status);
  }

  async #join(followed: PrefixMirror): Promise<void> {
    try {
      await this.#catchUp(followed, false);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#isNew = true;
    this.#mirrorStatus(followed.mirror.status);
  }

  #catchUp(followed: PrefixMirror, wasLive: boolean): Promise<void> {
    const onWarning = (error: Error) => this.#warn(error);
    return this.#position.catchUp({ followed, runtime: this.#runtime, signal: this.ended, wasLive, onWarning });
  }

  #mirrorStatus(status: MirrorStatus, error?: EtcdError): void {
    // The end is reported by the iteration, after what came before it.
    if (status === "failed" || status === "closed" || this.ended.aborted) return;
    if (error) {
      debug("%s: %s", this.#parts.prefix, error.message);
      this.#warn(error);
    }
    if (status === "live") this.#position.revived();
    // The first list is emitted before it is said to be followed.
    if (status === "live" && !(this.#listed && this.#isNew)) return;
    this.#setStatus(status);
    if (status === "live") this.#ready.resolve();
  }

  #setStatus(status: MirrorStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    void this.#parts.onNews({ type: "status", status });
  }

  #warn(error: Error): void {
    void this.#parts.onNews({ type: "warning", error });
  }

  #fail(cause: unknown): void {
    if (this.ended.aborted) return;
    const error = asError(cause);
    this.#stop(error);
    this.#setStatus("failed");
    void this.#parts.onNews({ type: "failed", error });
    if (!this.#closed) void this.#parts.client.release();
  }

  async #close(): Promise<void> {
    const { what, prefix } = this.#parts;
    this.#stop(new ClientClosedError(`${what} of ${prefix} was closed`));
    await this.#parts.client.release();
    this.#setStatus("closed");
  }

  #stop(error: Error): void {
    this.#end ??= { atMs: this.#runtime.clock.monotonicMs(), staleForMs: this.staleForMs };
    this.#ending.abort(error);
    this.#ready.reject(error);
    // Others may go on with the mirror: it is this reader that ends.
    void this.#reader?.return?.();
    this.#followed?.release(this.#onStatus);
  }
}
