import type {
  Protocol,
  StreamEndpoint,
  StreamHandlers,
  WatchCreateRequest,
  WatchResponse,
  WatchStream,
} from "../../src/connection/index.ts";
import {
  CompactedError,
  FutureRevisionError,
  type KeyRange,
  type KeyValue,
  type RangeOp,
  UnavailableError,
} from "../../src/index.ts";
import { storedKeyValue } from "../../testing/fake-etcd/stored-key-value.ts";
import { watchResponse } from "./scripted-protocol.ts";
import { type ModelOp, StoreModel } from "./store-model.ts";

/**
 * What etcd would answer, in memory, and what it would be after a restore: for histories that are too many for a real
 * one.
 */
export class ModelEtcd {
  store = new StoreModel();
  revision = 1;
  compactRevision = 0;
  /** No stream and no answer. */
  down = false;
  /** What was read page by page, and by txns. */
  readonly asked = { ranges: 0, keys: 0, txns: 0 };
  #log: { readonly revision: number; readonly ops: readonly ModelOp[] }[] = [];
  readonly #streams = new Set<ModelStream>();
  #sorted: { state: ReadonlyMap<string, KeyValue>; all: { kv: KeyValue; keyBytes: Uint8Array }[] } | undefined;

  execute(ops: readonly ModelOp[]): void {
    const events = this.store.execute(++this.revision, ops);
    this.#log.push({ revision: this.revision, ops });
    if (events.length > 0) for (const stream of this.#streams) stream.changed(this.revision);
  }

  compact(revision: number): void {
    this.compactRevision = Math.max(this.compactRevision, Math.min(revision, this.revision));
  }

  /** Everything after `revision` is lost. Etcd ends, so every stream breaks. */
  restore(revision: number): void {
    this.cut();
    const log = this.#log.filter((entry) => entry.revision <= revision);
    this.store = new StoreModel();
    for (const entry of log) this.store.execute(entry.revision, entry.ops);
    this.#log = log;
    this.revision = revision;
    this.compactRevision = Math.min(this.compactRevision, revision);
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  cut(): void {
    for (const stream of [...this.#streams]) stream.breaks();
  }

  /** A periodic progress notice. */
  progress(): void {
    for (const stream of this.#streams) stream.progress();
  }

  get protocol(): Protocol {
    const protocol: Partial<Protocol> = {
      requestTimeoutMs: 5_000,
      streamEndpoints: () => [{ url: "http://model" } as StreamEndpoint],
      streamWorked: () => {},
      streamFailed: () => {},
      openWatch: async (endpoint, _limitMs, handlers) => {
        await this.#reached();
        const stream = new ModelStream(this, endpoint, handlers, () => this.#streams.delete(stream));
        this.#streams.add(stream);
        return stream;
      },
      range: async (request) => {
        await this.#reached();
        this.asked.ranges++;
        const { kvs, count, more } = this.#read(request);
        this.asked.keys += kvs.length;
        return { revision: this.revision, kvs, count, more, bytes: 0 };
      },
      txn: async ({ success }) => {
        await this.#reached();
        this.asked.txns++;
        const responses = (success as RangeOp[]).map((op) => ({ type: "range", ...this.#read(op) }) as const);
        return { revision: this.revision, succeeded: true, responses };
      },
    };
    return protocol as Protocol;
  }

  /** What is in a range at a revision. */
  entries(range: KeyRange, revision: number): KeyValue[] {
    const state = this.store.at(revision);
    // Most is read page by page.
    if (this.#sorted?.state !== state) {
      const all = [...state.values()].map((kv) => ({ kv, keyBytes: kv.keyBytes }));
      this.#sorted = { state, all: all.sort((a, b) => Buffer.compare(a.keyBytes, b.keyBytes)) };
    }
    return this.#sorted.all.filter(({ keyBytes }) => isIn(range, keyBytes)).map(({ kv }) => kv);
  }

  async #reached(): Promise<void> {
    await null;
    if (this.down) throw new UnavailableError("down", { retryable: true });
  }

  #read({ range, revision, limit = 0, keysOnly, countOnly }: Omit<RangeOp, "type">) {
    const at = revision || this.revision;
    if (at > this.revision) throw new FutureRevisionError("future");
    if (at < this.compactRevision) throw new CompactedError("compacted");
    const all = this.entries(range, at);
    const kvs = countOnly ? [] : all.slice(0, limit || all.length);
    const empty = Buffer.alloc(0);
    return {
      kvs: keysOnly ? kvs.map((kv) => storedKeyValue({ ...kv, keyBytes: kv.keyBytes, value: empty })) : kvs,
      count: all.length,
      more: !countOnly && kvs.length < all.length,
    };
  }
}

class ModelStream implements WatchStream {
  readonly endpoint: StreamEndpoint;
  readonly #etcd: ModelEtcd;
  readonly #handlers: StreamHandlers<WatchResponse>;
  readonly #onEnd: () => void;
  readonly #watches = new Map<string, { readonly range: KeyRange; next: number }>();
  #closed = false;

  constructor(etcd: ModelEtcd, endpoint: StreamEndpoint, handlers: StreamHandlers<WatchResponse>, onEnd: () => void) {
    this.#etcd = etcd;
    this.endpoint = endpoint;
    this.#handlers = handlers;
    this.#onEnd = onEnd;
  }

  create({ range, startRevision, watchId }: WatchCreateRequest): void {
    queueMicrotask(() => {
      this.#say({ watchId, created: true, headerRevision: this.#etcd.revision });
      if (startRevision < this.#etcd.compactRevision) {
        this.#say({ watchId, canceled: true, compactRevision: this.#etcd.compactRevision });
      } else {
        this.#watches.set(watchId, { range, next: startRevision });
        this.changed(this.#etcd.revision);
      }
    });
  }

  cancel(watchId: string): void {
    this.#watches.delete(watchId);
  }

  requestProgress(): void {
    queueMicrotask(() => this.#say({ watchId: "-1", headerRevision: this.#etcd.revision }));
  }

  close(): void {
    this.#closed = true;
    this.#onEnd();
  }

  breaks(): void {
    this.close();
    this.#handlers.onEnd(new UnavailableError("cut", { retryable: true }));
  }

  /** Sends what the watches do not know yet. */
  changed(upTo: number): void {
    for (const [watchId, watch] of this.#watches) {
      for (; watch.next <= upTo; watch.next++) {
        const events =
          this.#etcd.store.events.get(watch.next)?.filter(({ kv }) => isIn(watch.range, kv.keyBytes)) ?? [];
        if (events.length > 0) this.#say({ watchId, events, headerRevision: this.#etcd.revision });
      }
    }
  }

  progress(): void {
    for (const watchId of this.#watches.keys()) this.#say({ watchId, headerRevision: this.#etcd.revision });
  }

  #say(response: Partial<WatchResponse>): void {
    if (!this.#closed) this.#handlers.onMessage(watchResponse(response));
  }
}

function isIn({ start, end }: KeyRange, key: Uint8Array): boolean {
  if (!end) return Buffer.compare(start, key) === 0;
  return Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0;
}
