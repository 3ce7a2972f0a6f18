import { checkOf } from "./call-checks.ts";
import { type EtcdClientOptions, resolveClientOptions } from "./client-options.ts";
import { partsOf } from "./client-parts.ts";
import type { MemberStatus, Protocol } from "./connection/index.ts";
import { ClientClosedError } from "./errors/client-closed-error.ts";
import { InvalidOptionError } from "./errors/invalid-option-error.ts";
import { errorOfCall } from "./errors/of-call.ts";
import { shown } from "./errors/shown.ts";
import type { Runtime } from "./internal/runtime.ts";
import { setRuntime } from "./internal/runtime-of.ts";
import { ServerLimits } from "./internal/server-limits.ts";
import { showAs } from "./internal/show-as.ts";
import {
  type DeleteOptions,
  Kv,
  ownRange,
  type PagedRange,
  PointReads,
  type PutOptions,
  RangeCounts,
  type RangeOptions,
  type ReadOptions,
  runStm,
  type StmTransaction,
  type TxnAnswer,
  type TxnCallOptions,
  type TxnOptions,
} from "./kv/index.ts";
import {
  type GrantLeaseOptions,
  type Lease,
  Leases,
  type LeaseTimeToLive,
  type TimeToLiveOptions,
} from "./lease/index.ts";
import type { BytesLike } from "./model/bytes.ts";
import type { CallOptions } from "./model/call-options.ts";
import { checkTxn } from "./model/check-txn.ts";
import { type KeyOrRange, toKeyRange } from "./model/key-range.ts";
import type { KeyValue } from "./model/key-value.ts";
import { type LeaseRef, toLeaseId } from "./model/lease-id.ts";
import {
  type FollowParts,
  type Mirror,
  type MirrorOptions,
  MultiplexedMirror,
  MultiplexedWatch,
  type Watch,
  WatchHub,
  type WatchOptions,
} from "./watch/index.ts";

/** What one member of the cluster says of itself. */
export interface EtcdStatus extends MemberStatus {
  /** The endpoint that was asked, if it was chosen by the caller. */
  readonly endpoint: string | undefined;
}

export interface StatusOptions extends CallOptions {
  /**
   * One of the client's endpoints. Of several members behind it, the one that it is connected to.
   *
   * @default the one that calls go to at the moment
   */
  endpoint?: string | undefined;
}

/** How long `close()` gives etcd to revoke the leases of this client. */
const CLOSE_LIMIT_MS = 2_000;

/**
 * A client of etcd v3. It connects when it is first used, moves between its endpoints by itself, and holds nothing
 * while nothing is asked of it: a process that only has an idle client ends by itself.
 *
 * Every call takes `{ signal, timeoutMs }`: it rejects with `signal.reason` when aborted and never waits past its time.
 * Calls fail with `UnavailableError`, `EtcdTimeoutError`, `PermissionDeniedError`, `UnauthenticatedError`,
 * `RequestRefusedError`, `ExhaustedError`, `ProtocolError` or `ClientClosedError`; what else can happen stands with
 * each.
 *
 * Reads are repeated on other endpoints within their time. A write is repeated only if it provably was not executed;
 * otherwise its error has `outcomeUnknown: true`. The outcome of an aborted write is unknown.
 */
export class EtcdClient implements AsyncDisposable {
  static {
    showAs(EtcdClient, "EtcdClient", (it) => ({ endpoints: it.endpoints, closed: it.closed }));
  }

  readonly #protocol: Protocol;
  readonly #kv: Kv;
  readonly #leases: Leases;
  readonly #hub: WatchHub;
  readonly #watchParts: FollowParts;
  readonly #runtime: Runtime;
  #closing: Promise<void> | undefined;

  /** @throws InvalidOptionError that names the option, before any I/O */
  constructor(options: EtcdClientOptions = {}) {
    const resolved = resolveClientOptions(options);
    const { runtime, openProtocol } = partsOf(options);
    setRuntime(this, runtime);
    this.#runtime = runtime;
    this.#protocol = openProtocol({ ...resolved, runtime });
    const limits = ServerLimits.of(this);
    const reads = new PointReads(this.#protocol, runtime.clock, limits);
    this.#kv = new Kv(this.#protocol, reads, runtime.clock, resolved.autoBatch, limits);
    this.#leases = new Leases(this.#protocol, resolved.dialTimeoutMs, runtime);
    this.#hub = new WatchHub(this.#protocol, resolved.dialTimeoutMs, runtime, limits);
    const counts = new RangeCounts(this.#protocol, runtime.clock, limits);
    this.#watchParts = { hub: this.#hub, protocol: this.#protocol, reads, counts, runtime };
  }

  /**
   * Reads one key; linearizable unless `serializable` is set.
   *
   * @returns undefined when there is no such key
   * @throws CompactedError, FutureRevisionError for a `revision` that etcd no longer or not yet has
   */
  async get(key: BytesLike, options?: ReadOptions): Promise<KeyValue | undefined> {
    checkOf.get(options);
    this.#checkOpen("get");
    return this.#kv.get(key, options);
  }

  /**
   * Reads a range of any size, in the order of keys: in pages, all at the revision of the first. `timeoutMs` holds for
   * each page.
   *
   * @throws CompactedError, FutureRevisionError for a `revision` that etcd no longer or not yet has
   */
  async range(range: KeyOrRange, options?: RangeOptions): Promise<PagedRange> {
    checkOf.range(options);
    this.#checkOpen("range");
    return this.#kv.range(range, options);
  }

  /**
   * Writes one key. After an error with `outcomeUnknown: true`, or an abort, it may have been written, or be written
   * later.
   *
   * @throws LeaseNotFoundError when `lease` is gone: nothing was written; RequestRefusedError for more than etcd takes
   *   in one request (1.5 MiB, unless it was started with another `--max-request-bytes`)
   */
  async put(
    key: BytesLike,
    value: BytesLike,
    options?: PutOptions,
  ): Promise<{ revision: number; previous?: KeyValue }> {
    checkOf.put(options);
    this.#checkOpen("put");
    return this.#kv.put(key, value, options);
  }

  /** Deletes a key or a range. After an error with `outcomeUnknown: true`, or an abort, it may have been deleted, or be deleted later. */
  async delete(
    range: KeyOrRange,
    options?: DeleteOptions,
  ): Promise<{ deleted: number; revision: number; previous: readonly KeyValue[] }> {
    checkOf.delete(options);
    this.#checkOpen("delete");
    return this.#kv.delete(range, options);
  }

  /**
   * Executes `success` if all compares hold, else `failure`, as one step at one revision. With writes in it: after an
   * error with `outcomeUnknown: true`, or an abort, it may have been executed, or be executed later. A compare on a
   * modRevision makes that harmless.
   *
   * @throws RequestRefusedError for one key written twice, more operations than etcd takes (128, unless it was started
   *   with another `--max-txn-ops`), or more bytes (as for `put()`)
   */
  async txn(request: TxnOptions, options?: TxnCallOptions): Promise<TxnAnswer> {
    checkTxn("txn", request);
    checkOf.txn(options);
    this.#checkOpen("txn");
    return this.#kv.txn(request, options);
  }

  /**
   * A software transaction: runs `work`, which reads and writes keys through `tx`, and then writes all at once, if
   * nothing that it read has changed since; else it is run again from the beginning, after growing random pauses.
   *
   * ```ts
   * await etcd.stm(async (tx) => {
   *   const [a, b] = await Promise.all([tx.get("a"), tx.get("b")]);
   *   tx.put("a", String(Number(a?.text ?? 0) - 1));
   *   tx.put("b", String(Number(b?.text ?? 0) + 1));
   * });
   * ```
   *
   * Guaranteed: all reads of one try see one revision, and the transactions that write are serializable: as if one ran
   * after the other, without write skew. `work` may run any number of times, so it must do nothing but read and write
   * through `tx`.
   *
   * Not guaranteed: progress of one that reads what others write all the time. What `work` does not read can change
   * under it.
   *
   * @param options `timeoutMs` holds for all tries together, 10 s if it is left out
   * @returns what the last run of `work` returned
   * @throws what `work` throws: nothing was written; EtcdTimeoutError; RequestRefusedError for more reads or writes
   *   than a txn takes (128, unless etcd was started with another `--max-txn-ops`); `signal.reason`. After an error
   *   with `outcomeUnknown: true`, or an abort, it may have been written, or be written later
   */
  async stm<Result>(
    work: (tx: StmTransaction) => Promise<Result> | Result,
    options: CallOptions = {},
  ): Promise<Result> {
    if (typeof work !== "function") {
      throw new InvalidOptionError("stm", "work", `must be a function, not ${shown(work)}`);
    }
    checkOf.stm(options);
    this.#checkOpen("stm");
    return runStm(this.#kv, this.#runtime, work, options);
  }

  /**
   * Grants a lease. It is kept alive until `revoke()` or `close()`, unless `keepAlive: false` makes it detached: never
   * renewed by us, it outlives the process.
   *
   * @param ttlSeconds whole seconds, 1 to 9000000000; etcd may grant more
   * @throws InvalidOptionError; ConflictError when a lease with the given `id` exists
   */
  async grantLease(ttlSeconds: number, options: GrantLeaseOptions = {}): Promise<Lease> {
    checkOf.grantLease(options);
    this.#checkOpen("grantLease");
    return this.#leases.grant(ttlSeconds, options);
  }

  /**
   * What etcd says of a lease, whichever client holds it.
   *
   * @throws LeaseNotFoundError when there is no such lease any more
   */
  async leaseTimeToLive(lease: LeaseRef, options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    checkOf.leaseTimeToLive(options);
    this.#checkOpen("leaseTimeToLive");
    return this.#leases.timeToLive(toLeaseId("leaseTimeToLive", lease), options);
  }

  /**
   * Follows a key or a range; opens now, not at the first read.
   *
   * @throws InvalidOptionError; ClientClosedError
   */
  watch(range: KeyOrRange, options: WatchOptions = {}): Watch {
    checkOf.watch(options);
    this.#checkOpen("watch");
    return new MultiplexedWatch(this.#watchParts, ownRange(toKeyRange("watch", range)), options);
  }

  /**
   * Keeps a local copy of a range true for ever.
   *
   * @throws InvalidOptionError; ClientClosedError
   */
  mirror(range: KeyOrRange, options: MirrorOptions = {}): Mirror {
    checkOf.mirror(options);
    this.#checkOpen("mirror");
    return new MultiplexedMirror(this.#watchParts, ownRange(toKeyRange("mirror", range)), options);
  }

  /** What a member says of itself. A member without a leader answers too. */
  async status(options: StatusOptions = {}): Promise<EtcdStatus> {
    checkOf.status(options);
    this.#checkOpen("status");
    const { endpoint } = options;
    const chosen = endpoint === undefined ? undefined : this.#protocol.endpoints.find(({ url }) => url === endpoint);
    if (endpoint !== undefined && !chosen) {
      const known = this.#protocol.endpoints.map(({ url }) => url).join(", ");
      throw new InvalidOptionError("status", "endpoint", `must be one of ${known}, not ${shown(endpoint)}`);
    }
    const status = await this.#protocol.memberStatus(chosen, options).catch((error: unknown) => {
      throw errorOfCall(() => `status${endpoint === undefined ? "" : ` of ${endpoint}`}`, error, options.signal);
    });
    return { endpoint, ...status };
  }

  /** The endpoints in use, as URLs. */
  get endpoints(): readonly string[] {
    return this.#protocol.endpoints.map(({ url }) => url);
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Ends watches and mirrors with `ClientClosedError`, revokes the kept-alive leases (not the detached ones), then ends
   * calls under way and closes all connections. Takes 2 s at most, also when etcd does not answer. Calling it again is
   * harmless.
   */
  close(): Promise<void> {
    // In a moment: it is closed before any listener is told, for that may close it, too.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#hub.close();
    await this.#leases.close(CLOSE_LIMIT_MS);
    this.#protocol.close();
  }

  #checkOpen(call: string): void {
    if (this.#closing) throw new ClientClosedError(`${call}: the client is closed`);
  }
}
