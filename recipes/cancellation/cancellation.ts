import { setMaxListeners } from "node:events";
import {
  type CallOptions,
  type EtcdClient,
  getOp,
  type KeyValue,
  keyMissing,
  type LeaseId,
  type MirrorBatch,
  type MirrorStatus,
  putOp,
} from "../../src/index.ts";
import { runtimeOf, showAs } from "../../src/internal/index.ts";
import { CancelledError, InvalidValueError } from "../errors/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { DetachedLeases } from "../leases/index.ts";
import { checkId, checkValue, resolveCall } from "../option-schemas/index.ts";
import { type CommonEvents, Notifier, recipeClient } from "../recipe/index.ts";
import { callUntilKnown } from "../writes/index.ts";
import { type CancellationOptions, resolveCancellation } from "./options.ts";

/**
 * `connecting`: no list yet. `live`: every cancellation comes. `stale`: etcd is out of reach; what is cancelled
 * meanwhile comes when it is back. `failed`, `closed`: the end.
 */
export type CancellationStatus = MirrorStatus;

export interface CancellationEvents extends CommonEvents {
  /**
   * A run was cancelled by any process, followed here or not; also each that was cancelled before the start. Its signal
   * has aborted already.
   */
  cancelled: [runId: string, reason: string];
  status: [status: CancellationStatus];
}

/** By the key of each run that is being cancelled through a client, until the last call has ended. */
const ofClients = new WeakMap<EtcdClient, Map<string, Promise<unknown>>>();

/** What came of trying to cancel a run. */
interface Cancelling {
  /** False when it was cancelled before. */
  readonly first: boolean;
  readonly reason: string;
  readonly revision: number;
}

/**
 * Cancels runs wherever they run: one watch for all of them.
 *
 * ```ts
 * const cancellation = new Cancellation("/pipeline/cancel/");
 * const signal = cancellation.signal("run-1"); // in the process that runs it
 * // in any process; or: etcdctl put /pipeline/cancel/run-1 superseded
 * await cancellation.cancel("run-1", "superseded");
 * cancellation.release("run-1"); // when the run is over
 * ```
 *
 * Guaranteed: a signal aborts, with a `CancelledError`, when anybody cancels its run, also when that was before the
 * signal was asked for, and after an outage, a compaction, a restart of etcd. It is held until it is released, so one
 * that has only a listener fires too. The first reason stays. An aborted signal stays aborted, whatever becomes of the
 * entry.
 *
 * Not guaranteed: that a run stops; it must listen. How soon: a dead link is noticed within about 9 s. That a process
 * which cannot reach etcd for longer than `ttlSeconds` still hears of it, or one that asks for the first time after
 * that. A cancellation that no process has heard of is lost when etcd's data is. What a listener of a signal throws is
 * an uncaught exception, as with every AbortSignal.
 *
 * A run id names one attempt: once cancelled, it stays cancelled until the entry expires, so a second attempt takes
 * another id.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before `ready`, `PermissionDeniedError` and
 * `UnauthenticatedError`; at any time `ClientClosedError`. An etcd that is out of reach is retried for ever; `status`
 * and `warning` say so. A role, a user or a password that is missing after `ready` is retried so too, after pauses that
 * grow to 30 s.
 */
export class Cancellation extends Notifier<CancellationEvents> implements AsyncDisposable {
  static {
    showAs(Cancellation, "Cancellation", (it) => ({ prefix: it.prefix, status: it.status }));
  }

  /** What is followed, always with a slash at its end. */
  readonly prefix: string;
  /**
   * Resolves when the first list was emitted and is followed, however long that takes; rejects when it never will be.
   * It may be left unused.
   */
  readonly ready: Promise<void>;
  readonly #ttlSeconds: number;
  readonly #follower: PrefixFollower;
  readonly #leases: DetachedLeases;
  readonly #etcd: EtcdClient;
  /** Strongly: a signal that has only a listener would be collected, and never fire (GUARANTEES 23). */
  readonly #held = new Map<string, AbortController>();
  /** Those that etcd has acknowledged, until they come by the watch. */
  readonly #acknowledged = new Map<string, Cancelling>();
  readonly #cancelling: Map<string, Promise<unknown>>;
  /** Those that stand in etcd and were emitted. */
  readonly #emitted = new Set<string>();

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix where the cancellations stand; `/pipeline/cancel` is read as `/pipeline/cancel/`; at most 65536 bytes
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: CancellationOptions = {}) {
    const resolved = resolveCancellation(prefix, options);
    const client = recipeClient(resolved.client);
    super(runtimeOf(client.etcd).clock);
    this.prefix = resolved.prefix;
    this.#ttlSeconds = resolved.ttlSeconds;
    this.#etcd = client.etcd;
    this.#leases = DetachedLeases.of(client.etcd);
    this.#cancelling = ofClients.get(client.etcd) ?? new Map();
    ofClients.set(client.etcd, this.#cancelling);
    this.#follower = new PrefixFollower({
      what: "the cancellation",
      prefix: this.prefix,
      client,
      mirror: "shared",
      onNews: (news) => this.#followed(news),
    });
    this.ready = this.#follower.ready;
  }

  get status(): CancellationStatus {
    return this.#follower.status;
  }

  /**
   * The signal of a run: the same one until it is released. Aborts at once if the run is known to be cancelled; before
   * `ready` that is not known yet. Any number of listeners is fine.
   *
   * @throws InvalidOptionError for an empty id or one with a leading slash; ClientClosedError after `close()`; the
   *   failure after `failed`
   */
  signal(runId: string): AbortSignal {
    checkId("Cancellation.signal", runId, "runId");
    this.#follower.ended.throwIfAborted();
    const held = this.#held.get(runId);
    if (held) return held.signal;
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    this.#held.set(runId, controller);
    const reason = this.#acknowledged.get(runId)?.reason ?? this.#follower.get(this.prefix + runId)?.text;
    if (reason !== undefined) controller.abort(new CancelledError(runId, reason));
    return controller.signal;
  }

  /**
   * Cancels a run for everybody. The signal here aborts as soon as etcd has acknowledged it. A write whose outcome is
   * unknown is repeated within the call's time: `timeoutMs`, 5 s by default, whatever the client's `requestTimeoutMs`.
   *
   * @param reason what the runs get; the value of the entry, as plain text
   * @returns true if this call cancelled it; false if it was cancelled before, then the first reason stays
   * @throws InvalidOptionError; EtcdTimeoutError; `signal.reason`; ClientClosedError after `close()`; the failure after
   *   `failed`. After an error with `outcomeUnknown: true`, or an abort, it may be cancelled, or be yet
   */
  async cancel(runId: string, reason = "", options: CallOptions = {}): Promise<boolean> {
    const what = "Cancellation.cancel";
    checkId(what, runId, "runId");
    checkValue(what, reason, "reason");
    const call = resolveCall(what, options);
    this.#follower.ended.throwIfAborted();
    const tried = new Set<LeaseId>();
    const put = async (callOptions: CallOptions) => {
      // One that has written already says what came of that.
      if (tried.size === 0) this.#follower.ended.throwIfAborted();
      return this.#put(runId, reason, callOptions, tried);
    };
    const done = await this.#inTurn(runId, (before) =>
      callUntilKnown(`cancelling ${runId}`, this.#etcd, call, put, before),
    );
    this.#acknowledged.set(runId, done);
    this.#abort(runId, done.reason);
    return done.first;
  }

  /**
   * Lets go of a run that is over, cancelled or not: its signal, if it has not aborted, never will. A run that no one
   * releases is held until `close()`.
   *
   * @throws InvalidOptionError for an empty id or one with a leading slash
   */
  release(runId: string): void {
    checkId("Cancellation.release", runId, "runId");
    this.#held.delete(runId);
  }

  /** Stops following: a signal that has not aborted never will. Calling it again is harmless. */
  async close(): Promise<void> {
    this.#held.clear();
    this.#acknowledged.clear();
    await this.#follower.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Calls for one run through one client are made one after the other: they share a lease, and by that alone a call
   * whose answer was lost knows its entry.
   *
   * @param cancel waits for `before`, within its own time
   */
  #inTurn<T>(runId: string, cancel: (before: Promise<unknown>) => Promise<T>): Promise<T> {
    const key = this.prefix + runId;
    const before = this.#cancelling.get(key) ?? Promise.resolve();
    const cancelling = cancel(before);
    // One that gave up waits no more, but those behind it do.
    const settled = Promise.allSettled([before, cancelling]).then(() => {
      if (this.#cancelling.get(key) === settled) this.#cancelling.delete(key);
    });
    this.#cancelling.set(key, settled);
    return cancelling;
  }

  /** @param tried on which leases earlier attempts of the call may have put it; this one's is added when it fails */
  #put(runId: string, reason: string, options: CallOptions, tried: Set<LeaseId>): Promise<Cancelling> {
    const key = this.prefix + runId;
    return this.#leases.use(this.#ttlSeconds, options, async (lease) => {
      const putOnce = { compare: [keyMissing(key)], success: [putOp(key, reason, { lease })], failure: [getOp(key)] };
      const { succeeded, revision, responses } = await this.#etcd.txn(putOnce, options).catch((error: unknown) => {
        tried.add(lease.id);
        throw error;
      });
      if (succeeded) return { first: true, reason, revision };
      const [there] = responses;
      const kv = there?.type === "range" ? there.kvs[0] : undefined;
      // An attempt of this call whose answer was lost.
      const own = kv?.lease !== undefined && tried.has(kv.lease) && kv.text === reason;
      // The entry may be much older than the answer.
      return { first: own, reason: kv?.text ?? "", revision: kv?.modRevision ?? revision };
    });
  }

  #followed(news: FollowNews): void {
    if (news.type === "status") this.notify("status", news.status);
    else if (news.type === "warning") this.notify("warning", news.error);
    else if (news.type === "failed") this.notify("failed", news.error);
    else this.#apply(news);
  }

  #apply(batch: MirrorBatch): void {
    for (const { key } of batch.deletes) this.#emitted.delete(this.#idOf(key));
    for (const kv of batch.puts) this.#cancelled(kv);
    for (const [runId, { revision }] of this.#acknowledged) {
      // Revisions compare within one history only.
      if (batch.type === "resynced" || batch.revision >= revision) this.#acknowledged.delete(runId);
    }
  }

  #cancelled({ key, text }: KeyValue): void {
    // A listener may have closed it.
    if (this.#follower.ended.aborted) return;
    const runId = this.#idOf(key);
    if (runId === "" || key.includes("\ufffd")) {
      this.notify("warning", new InvalidValueError(`${key} names no run`));
      return;
    }
    this.#abort(runId, text);
    if (this.#emitted.has(runId) || this.#follower.ended.aborted) return;
    this.#emitted.add(runId);
    this.notify("cancelled", runId, text);
  }

  #abort(runId: string, reason: string): void {
    const controller = this.#held.get(runId);
    // An error takes its time to make.
    if (controller && !controller.signal.aborted) controller.abort(new CancelledError(runId, reason));
  }

  #idOf(key: string): string {
    return key.slice(this.prefix.length);
  }
}
