import {
  type CallOptions,
  ClientClosedError,
  type EtcdClient,
  EtcdTimeoutError,
  HistoryLostError,
  type MirrorBatch,
  type MirrorStatus,
} from "../../src/index.ts";
import {
  abortable,
  asError,
  inMs,
  log,
  quietDeferred,
  type Runtime,
  timedCalls,
  within,
} from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import type { Hold } from "../lanes/index.ts";
import { recipeClient } from "../recipe/index.ts";
import { changeKey, deleteIfUnchanged } from "../writes/index.ts";
import { BucketLeases } from "./bucket-leases.ts";
import { BucketRounds } from "./bucket-rounds.ts";
import { Buckets, type KeyEnd } from "./buckets.ts";
import { Cleaner } from "./cleaner.ts";
import { HeldBack } from "./held-back.ts";
import { askForKnown } from "./known-ids.ts";
import type { ExpireReason, ResolvedExpirer } from "./options.ts";
import { Sweeper } from "./sweeper.ts";
import { Touches } from "./touches.ts";
import { TrackedKeys } from "./tracked-keys.ts";

const debug = log("cache");

/** How long the end waits for cleaning that still runs. */
const CLOSE_LIMIT_MS = 5_000;

/** What the tracker reports. */
export type CacheNews =
  | { readonly type: "status"; readonly status: MirrorStatus }
  | { readonly type: "warning" | "failed"; readonly error: Error }
  | { readonly type: "cleaned"; readonly id: string; readonly reason: ExpireReason };

/**
 * The engine of a CacheExpirer.
 *
 * ```
 *   track, touch ──▶ Touches ──batches──▶ etcd ──Mirror──▶ TrackedKeys ──due──▶ Sweeper ──guarded deletes──▶ etcd
 *        ▲ a touch is free while TrackedKeys shows its bucket   │ key gone
 *        └── track holds ──────────────────────────────── Cleaner ──no key in etcd──▶ onExpire
 * ```
 */
export class CacheTracker {
  readonly ready: Promise<void>;
  readonly #etcd: EtcdClient;
  readonly #options: ResolvedExpirer;
  readonly #runtime: Runtime;
  readonly #onNews: (news: CacheNews) => void;
  readonly #ready = quietDeferred<void>();
  readonly #closing = new AbortController();
  readonly #buckets: Buckets;
  readonly #keys: TrackedKeys;
  readonly #touches: Touches;
  readonly #cleaner: Cleaner;
  readonly #heldBack: HeldBack;
  readonly #leases: BucketLeases;
  readonly #sweeper: Sweeper;
  readonly #rounds: BucketRounds;
  #follower: PrefixFollower | undefined;
  #known: readonly string[] = [];
  #historyLost = false;
  #status: MirrorStatus = "connecting";
  #ended: Promise<void> | undefined;
  #stopped = false;

  constructor(etcd: EtcdClient, options: ResolvedExpirer, runtime: Runtime, onNews: (news: CacheNews) => void) {
    this.#etcd = etcd;
    this.#options = options;
    this.#runtime = runtime;
    this.#onNews = onNews;
    this.ready = this.#ready.promise;
    const { prefix, ttlSeconds, concurrency, onExpire, maxDropRatio } = options;
    const { clock } = runtime;
    const buckets = new Buckets(ttlSeconds);
    const keys = new TrackedKeys(prefix);
    const leases = new BucketLeases(etcd, buckets, clock);
    this.#buckets = buckets;
    this.#keys = keys;
    this.#leases = leases;
    const isLive = () => this.#status === "live";
    // The cleaner asks etcd before it believes that.
    const onGone = (id: string) => this.#cleaner.clean(id, "evicted");
    this.#touches = new Touches({ etcd, prefix, buckets, clock, keys, leases, isLive, onGone });
    const cleaned = (id: string, reason: ExpireReason) => {
      // An onExpire can run for longer than the end waits for it.
      if (!this.#stopped) onNews({ type: "cleaned", id, reason });
    };
    const onWarning = (error: Error) => this.#warn(error);
    const { signal } = this.#closing;
    this.#cleaner = new Cleaner({ etcd, prefix, keys, runtime, concurrency, onExpire, signal, onWarning, cleaned });
    this.#heldBack = new HeldBack(buckets, maxDropRatio);
    this.#sweeper = new Sweeper({ etcd, prefix, buckets, clock, keys });
    this.#rounds = new BucketRounds(runtime, buckets);
    void this.#run();
  }

  get status(): MirrorStatus {
    return this.#status;
  }

  get size(): number {
    return this.#keys.size;
  }

  touch(id: string, call: CallOptions): Promise<boolean> {
    return this.#closing.signal.aborted ? this.#over() : this.#touches.move(id, false, call);
  }

  async track(id: string, call: CallOptions): Promise<void> {
    if (this.#closing.signal.aborted) return this.#over();
    const { clock } = this.#runtime;
    const endMs = call.timeoutMs === undefined ? undefined : clock.monotonicMs() + call.timeoutMs;
    // Also when nothing is to be cleaned yet: it could come while the key is on its way.
    const hold = await this.#hold(id, call);
    let dropped = hold.dropped;
    try {
      const left = endMs === undefined ? call : { ...call, timeoutMs: Math.max(1, endMs - clock.monotonicMs()) };
      await this.#touches.move(id, true, left);
      this.#heldBack.release(id);
      dropped = [];
    } finally {
      this.#letGo(id, hold, dropped);
    }
  }

  async evict(id: string, call: CallOptions): Promise<boolean> {
    if (this.#closing.signal.aborted) return this.#over();
    if (this.#heldBack.release(id)) this.#cleaner.clean(id, "evicted");
    const key = this.#options.prefix + id;
    return timedCalls(this.#etcd, `the eviction of ${id}`, call, (limit) =>
      changeKey(this.#etcd, key, limit, async (known) => {
        if (!known) return false;
        const revision = await deleteIfUnchanged(this.#etcd, key, known, limit);
        if (revision === undefined) return undefined;
        // A touch right after it must not take what the mirror still shows for true.
        this.#keys.missing(id, revision);
        return true;
      }),
    );
  }

  end(): Promise<void> {
    return this.#end("closed", new ClientClosedError(`the expirer of ${this.#options.prefix} was closed`));
  }

  async #run(): Promise<void> {
    // Nothing may be emitted before the caller had a chance to listen.
    await null;
    const { signal } = this.#closing;
    try {
      const { known } = this.#options;
      const parts = { runtime: this.#runtime, onWarning: (error: Error) => this.#warn(error) };
      // Before the list is read: what is tracked while the answer is made stands in the list, and what was not is
      // missing.
      if (known) this.#known = await askForKnown({ known, ...parts }, signal);
      if (signal.aborted) return;
      this.#follower = new PrefixFollower({
        what: "the expirer",
        prefix: this.#options.prefix,
        client: recipeClient(this.#etcd),
        // Its first list is read after the ids that are known here.
        mirror: "own",
        onNews: (news) => this.#followed(news),
      });
      const onWarning = (error: Error) => this.#warn(error);
      void this.#rounds.run((nowMs) => this.#round(nowMs), { signal, onWarning });
      await this.#follower.ready;
      this.#ready.resolve();
    } catch (error) {
      void this.#end("failed", asError(error));
    }
  }

  async #round(nowMs: number): Promise<void> {
    const swept = this.#status === "live" ? await this.#sweeper.sweep(this.#closing.signal) : undefined;
    for (const [id, end] of swept?.gone ?? []) this.#cleaner.clean(id, this.#reasonOf(end));
    for (const id of this.#heldBack.takeDue(nowMs)) this.#cleaner.clean(id, "missing");
    await this.#leases.endSwept();
    if (swept?.refusal) throw swept.refusal.error;
  }

  #followed(news: FollowNews): void {
    switch (news.type) {
      case "status":
        // The end is reported with its error.
        if (news.status === "failed" || news.status === "closed") return;
        this.#setStatus(news.status);
        if (news.status === "live") this.#rounds.wake();
        break;
      case "warning":
        if (news.error instanceof HistoryLostError) this.#historyLost = true;
        this.#warn(news.error);
        break;
      case "failed":
        void this.#end("failed", news.error);
        break;
      default:
        this.#apply(news);
    }
  }

  #apply(batch: MirrorBatch): void {
    for (const kv of batch.puts) {
      if (!this.#keys.isOfId(kv)) this.#warn(new InvalidValueError(`${kv.key} is left out: it is the key of no id`));
    }
    const historyLost = this.#historyLost && batch.type === "resynced";
    if (historyLost) this.#historyLost = false;
    const before = this.#keys.size;
    const went = this.#keys.apply(batch, historyLost);
    for (const kv of batch.puts) this.#heldBack.release(this.#keys.idOf(kv));
    if (batch.type === "snapshot") {
      const missing = this.#known.filter((id) => !this.#keys.get(id) && !went.has(id));
      this.#known = [];
      const unknown: KeyEnd = { expiresAt: undefined };
      this.#dropped(new Map(missing.map((id) => [id, unknown])), "missing", this.#keys.size + missing.length);
    }
    const early = new Map<string, KeyEnd>();
    for (const [id, end] of went) {
      const reason = this.#reasonOf(end);
      // Between two lists a mass of keys that went before their time is more likely lost than evicted.
      if (batch.type !== "changes" && (historyLost || reason === "evicted")) early.set(id, end);
      else this.#cleaner.clean(id, reason);
    }
    this.#dropped(early, historyLost ? "missing" : "evicted", Math.max(before, early.size));
  }

  /**
   * A watch does not say why a key went. No lease ends before its time, so what went earlier was deleted.
   */
  #reasonOf(end: KeyEnd): ExpireReason {
    return this.#buckets.isOver(end, this.#runtime.clock.wallMs()) ? "expired" : "evicted";
  }

  /** @param ids each with the end that it would have had */
  #dropped(ids: ReadonlyMap<string, KeyEnd>, reason: ExpireReason, of: number): void {
    const why = this.#heldBack.consider(ids, of, this.#runtime.clock.wallMs());
    if (why) this.#warn(why);
    else for (const id of ids.keys()) this.#cleaner.clean(id, reason);
  }

  async #hold(id: string, { signal, timeoutMs }: CallOptions): Promise<Hold<ExpireReason>> {
    const holding = this.#cleaner.hold(id);
    // An onExpire that never ends must not outlive the end in here.
    const waiting = abortable(abortable(holding, signal), this.#closing.signal);
    try {
      if (timeoutMs === undefined) return await waiting;
      const outOfTime = () =>
        new EtcdTimeoutError(`${id} was still being cleaned after ${inMs(timeoutMs)}`, { retryable: true });
      return await within(this.#runtime.clock, waiting, timeoutMs, outOfTime);
    } catch (error) {
      void holding.then((hold) => this.#letGo(id, hold, hold.dropped));
      throw error;
    }
  }

  #letGo(id: string, hold: Hold<ExpireReason>, undone: readonly ExpireReason[]): void {
    for (const reason of undone) this.#cleaner.clean(id, reason);
    hold.release();
  }

  #warn(error: Error): void {
    debug("%s: %s", this.#options.prefix, error.message);
    if (!this.#closing.signal.aborted) this.#onNews({ type: "warning", error });
  }

  #setStatus(status: MirrorStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    this.#onNews({ type: "status", status });
  }

  #over(): Promise<never> {
    return Promise.reject(this.#closing.signal.reason);
  }

  #end(status: "failed" | "closed", error: Error): Promise<void> {
    if (this.#ended) {
      if (status === "closed") this.#setStatus("closed");
      return this.#ended;
    }
    this.#ended = this.#stop(error);
    this.#setStatus(status);
    if (status === "failed") this.#onNews({ type: "failed", error });
    return this.#ended;
  }

  async #stop(error: Error): Promise<void> {
    this.#closing.abort(error);
    this.#ready.reject(error);
    const running = this.#cleaner.end();
    await this.#follower?.close();
    await within(this.#runtime.clock, running, CLOSE_LIMIT_MS, () => undefined).catch(() => {});
    this.#stopped = true;
  }
}
