import {
  ClientClosedError,
  type EtcdClient,
  type KeyValue,
  ListenerFailedError,
  type MirrorBatch,
  type MirrorStatus,
} from "../../src/index.ts";
import { inMs, onAbort, quietDeferred, type Runtime, runtimeOf, showAs, within } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { IdLanes } from "../lanes/index.ts";
import { type CommonEvents, recipeClient } from "../recipe/index.ts";
import type { OnDelete, OnPut, ResolvedWatch } from "./options.ts";

/** How long `close()` waits for callbacks that still run. */
const CLOSE_LIMIT_MS = 5_000;

/**
 * `connecting`: no list yet. `live`: every change comes. `stale`: etcd is out of reach; what happens meanwhile
 * comes when it is back. `failed`, `closed`: the end.
 */
export type StorageWatchStatus = MirrorStatus;

/** A prefix that is followed. */
export interface StorageWatch extends AsyncDisposable {
  /** Resolves when the prefix is followed: from then on nothing is missed. Rejects if it never will be. */
  readonly ready: Promise<void>;
  readonly status: StorageWatchStatus;
  /**
   * Begins no callback any more, and waits for those that run, 5 s at most: do not await it in a callback of its own.
   * What was not handled yet is left. Calling it again is harmless.
   */
  close(): Promise<void>;
}

type Change = { readonly type: "put"; readonly value: string } | { readonly type: "delete"; readonly last: string };

export interface RunningWatchParts {
  readonly etcd: EtcdClient;
  readonly options: ResolvedWatch;
  readonly onPut: OnPut;
  readonly onDelete: OnDelete;
  notify(name: keyof CommonEvents, error: Error): void;
  onClosed(watch: StorageWatch): void;
}

/** The keys under a prefix, brought to callbacks: a follower says what changed, lanes run the callbacks. */
export class RunningWatch implements StorageWatch {
  static {
    showAs(RunningWatch, "StorageWatch", (it) => ({ status: it.status }));
  }

  readonly ready: Promise<void>;
  readonly #parts: RunningWatchParts;
  readonly #prefix: string;
  readonly #ready = quietDeferred<void>();
  readonly #lanes: IdLanes<Change>;
  readonly #follower: PrefixFollower;
  readonly #runtime: Runtime;
  readonly #releaseSignal: () => void;
  #failed = false;
  #closed: Promise<void> | undefined;

  constructor(parts: RunningWatchParts) {
    this.#parts = parts;
    const { etcd, options } = parts;
    const { prefix, concurrency, signal } = options;
    if (etcd.closed) throw new ClientClosedError(`the watch of ${prefix}: the client is closed`);
    this.#prefix = prefix;
    this.#runtime = runtimeOf(etcd);
    this.ready = this.#ready.promise;
    this.#lanes = new IdLanes<Change>({
      concurrency,
      runtime: this.#runtime,
      run: (id, change) => this.#handle(id, change),
      merge: mergeChanges,
      onWarning: (id, { type }, cause, againInMs) => {
        const callback = type === "put" ? "onPut" : "onDelete";
        const again = `it is called again in ${inMs(againInMs)}`;
        const message = `${callback}(${JSON.stringify(id)}) failed: ${cause.message}; ${again}`;
        parts.notify("warning", new ListenerFailedError(message, { cause }));
      },
    });
    this.#follower = new PrefixFollower({
      what: "the watch",
      prefix,
      client: recipeClient(etcd),
      // Of a shared one the first list could be older than this watch.
      mirror: "own",
      onNews: (news) => this.#followed(news),
    });
    this.#follower.ready.then(
      () => this.#ready.resolve(),
      (error) => this.#ready.reject(error),
    );
    this.#releaseSignal = onAbort(signal, () => void this.#end(signal?.reason));
  }

  get status(): StorageWatchStatus {
    if (this.#failed) return "failed";
    return this.#closed ? "closed" : this.#follower.status;
  }

  close(): Promise<void> {
    return this.#end(new ClientClosedError(`the watch of ${this.#prefix} was closed`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #followed(news: FollowNews): Promise<void> | undefined {
    switch (news.type) {
      case "status":
        return undefined;
      case "warning":
        this.#parts.notify("warning", news.error);
        return undefined;
      case "failed":
        this.#failed = true;
        void this.#end(news.error);
        this.#parts.notify("failed", news.error);
        return undefined;
      default:
        if (news.type !== "snapshot" || this.#parts.options.initial !== "none") this.#apply(news);
        // A reader that lags gets what differs in the end, instead of a queue without bounds.
        return this.#lanes.room();
    }
  }

  #apply({ deletes, puts }: MirrorBatch): void {
    for (const kv of deletes) this.#add(kv, { type: "delete", last: kv.text });
    for (const kv of puts) this.#add(kv, { type: "put", value: kv.text });
  }

  #add(kv: KeyValue, change: Change): void {
    // A listener of a warning may have closed it.
    if (this.#closed) return;
    const id = kv.key.slice(this.#prefix.length);
    // Two keys that are not UTF-8 can read the same, and a text that is not the key finds nothing in etcd.
    if (id === "" || kv.key.includes("\ufffd")) {
      const why = id === "" ? "the prefix itself" : "not UTF-8";
      this.#parts.notify("warning", new InvalidValueError(`${kv.key} is left out: its name is ${why}`));
      return;
    }
    this.#lanes.add(id, change);
  }

  async #handle(id: string, change: Change): Promise<void> {
    const { onPut, onDelete } = this.#parts;
    if (change.type === "put") await onPut(id, change.value);
    else await onDelete(id, change.last);
  }

  #end(reason: unknown): Promise<void> {
    this.#closed ??= this.#close(reason);
    return this.#closed;
  }

  async #close(reason: unknown): Promise<void> {
    this.#ready.reject(reason);
    this.#releaseSignal?.();
    const running = this.#lanes.end();
    await this.#follower.close();
    await within(this.#runtime.clock, running, CLOSE_LIMIT_MS, () => undefined).catch(() => {});
    this.#parts.onClosed(this);
  }
}

/** A put that something followed is out of date; of deletes without anything between them the last one will do. */
function mergeChanges(changes: readonly Change[]): Change[] {
  const latest = changes.filter(({ type }, i) => type === "delete" || i === changes.length - 1);
  return latest.filter(({ type }, i) => type === "put" || latest[i + 1]?.type !== "delete");
}
