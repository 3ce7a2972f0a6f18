import {
  ClientClosedError,
  type EtcdError,
  type KeyValue,
  type Mirror,
  type MirrorBatch,
  type MirrorStatus,
  prefix as prefixRange,
} from "../../src/index.ts";
import { log, quietDeferred } from "../../src/internal/index.ts";
import { asError } from "./mendable.ts";
import type { RecipeClient } from "./recipe-client.ts";

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
 * A Mirror of one prefix in the background of a recipe: started after the caller had a chance to listen, ended by `close()`
 * or by what a retry cannot mend, and then silent but for the status.
 */
export class PrefixFollower {
  /** Resolves when the first list was handed on and is followed. */
  readonly ready: Promise<void>;
  readonly #parts: PrefixFollowerParts;
  readonly #ready = quietDeferred<void>();
  readonly #ending = new AbortController();
  #mirror: Mirror | undefined;
  #status: MirrorStatus = "connecting";
  #closed: Promise<void> | undefined;

  constructor(parts: PrefixFollowerParts) {
    this.#parts = parts;
    this.ready = this.#ready.promise;
    void this.#run();
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  /** Milliseconds since the prefix was last known to be followed; 0 while live. Before the first list: since the start. */
  get staleForMs(): number {
    return this.#mirror?.staleForMs ?? 0;
  }

  /** Aborts at the end; its reason says why it ended. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** A key as it is now; it may be newer than the last batch. */
  get(key: string): KeyValue | undefined {
    return this.#mirror?.get(key);
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
      const mirror = client.etcd.mirror(prefixRange(prefix), {
        onStatus: (status, error) => this.#mirrorStatus(status, error),
      });
      this.#mirror = mirror;
      for await (const batch of mirror) {
        // What was still on its way when it was closed is not told any more.
        if (this.ended.aborted) return;
        this.#parts.onBatch(batch);
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
      debug("%s: %s", this.#parts.prefix, error.message);
      this.#parts.onWarning(error);
    }
    this.#setStatus(status);
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
    this.#ending.abort(error);
    this.#ready.reject(error);
    void this.#mirror?.close();
  }
}
