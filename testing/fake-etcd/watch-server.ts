import type { WatchCreateRequest, WatchResponse } from "../../src/connection/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { KeyStore, Revision } from "./key-store.ts";
import { isEmptyRange, Watcher, watchResponse } from "./watcher.ts";

export interface WatchServerParts {
  readonly store: KeyStore;
  readonly clock: Clock;
  readonly fragmentBytes: number;
  /** How long a watch that begins in the past waits for its history, in milliseconds: in etcd up to 100. */
  readonly historyMs: () => number;
}

/** The number of a watch that the server shall number. */
const AUTOMATIC = "0";

/** One stream of watches at the server's end. */
export class ServerWatchStream {
  readonly #parts: WatchServerParts;
  readonly #send: (response: WatchResponse) => void;
  readonly #watchers = new Map<string, Watcher>();
  #next = 0;
  #closed = false;

  constructor(parts: WatchServerParts, send: (response: WatchResponse) => void) {
    this.#parts = parts;
    this.#send = send;
  }

  create(request: WatchCreateRequest): void {
    const { store, fragmentBytes } = this.#parts;
    const headerRevision = store.revision;
    const cancelReason = this.#refusal(request);
    if (cancelReason !== undefined) {
      this.#say(watchResponse({ watchId: "-1", created: true, canceled: true, cancelReason, headerRevision }));
      return;
    }
    const watchId = request.watchId === AUTOMATIC ? this.#freeNumber() : request.watchId;
    const watcher = new Watcher(request, { watchId, store, fragmentBytes, send: (response) => this.#say(response) });
    this.#watchers.set(watchId, watcher);
    this.#say(watchResponse({ watchId, created: true, headerRevision }));
    this.#catchUp(watchId, watcher);
  }

  cancel(watchId: string): void {
    if (!this.#watchers.delete(watchId)) return;
    this.#say(watchResponse({ watchId, canceled: true, headerRevision: this.#parts.store.revision }));
  }

  /** What a client asked for: the number of no watch, and how far the store is. */
  requestProgress(): void {
    this.#say(watchResponse({ watchId: "-1", headerRevision: this.#parts.store.revision }));
  }

  /** What etcd says by itself from time to time to watches that have received everything. */
  progress(): void {
    for (const watcher of this.#watchers.values()) watcher.progress();
  }

  changed(revision: Revision): void {
    for (const watcher of this.#watchers.values()) watcher.changed(revision);
  }

  close(): void {
    this.#closed = true;
    this.#watchers.clear();
  }

  #refusal(request: WatchCreateRequest): string | undefined {
    if (isEmptyRange(request)) return "mvcc: watcher range is empty";
    const isTaken = request.watchId !== AUTOMATIC && this.#watchers.has(request.watchId);
    return isTaken ? "mvcc: duplicate watch ID provided on the WatchStream" : undefined;
  }

  #freeNumber(): string {
    while (this.#watchers.has(String(this.#next))) this.#next++;
    return String(this.#next++);
  }

  #catchUp(watchId: string, watcher: Watcher): void {
    if (watcher.isSynced) return;
    const go = () => {
      if (this.#watchers.get(watchId) === watcher && !watcher.catchUp()) this.#watchers.delete(watchId);
    };
    const waitMs = this.#parts.historyMs();
    if (waitMs > 0) this.#parts.clock.timer(waitMs, go).unref();
    else go();
  }

  #say(response: WatchResponse): void {
    if (!this.#closed) this.#send(response);
  }
}
