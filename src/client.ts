import { EventEmitter } from "node:events";
import { Auth, Cluster, type EtcdStatus, endpointOf, Maintenance, type StatusOptions } from "./admin/index.ts";
import { checkOf } from "./call-checks.ts";
import { ClientCore } from "./client-core.ts";
import type { ClientEvents } from "./client-events.ts";
import { type EtcdClientOptions, toEndpoints } from "./client-options.ts";
import { InvalidOptionError } from "./errors/invalid-option-error.ts";
import { errorOfCall } from "./errors/of-call.ts";
import { shown } from "./errors/shown.ts";
import { checkHealth, type EtcdHealth, type HealthOptions } from "./health.ts";
import { setKeyFeeds } from "./internal/key-feeds.ts";
import { setNamespace } from "./internal/namespace-of.ts";
import { setRuntime } from "./internal/runtime-of.ts";
import { ServerLimits } from "./internal/server-limits.ts";
import { showAs } from "./internal/show-as.ts";
import type { StandardSchema } from "./internal/standard-schema.ts";
import { setWhyUnreached } from "./internal/waited-in-vain.ts";
import {
  type CompactOptions,
  type DeleteOptions,
  type IterateOptions,
  ownRange,
  type PagedRange,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
  runStm,
  type StmTransaction,
  type TxnAnswer,
  type TxnCallOptions,
  type TxnOptions,
} from "./kv/index.ts";
import type {
  AdoptLeaseOptions,
  GrantLeaseOptions,
  Lease,
  LeaseRenewal,
  LeaseTimeToLive,
  TimeToLiveOptions,
} from "./lease/index.ts";
import { followMembersOnce } from "./member-endpoints.ts";
import { type BytesLike, checkedBytes } from "./model/bytes.ts";
import type { CallOptions } from "./model/call-options.ts";
import { checkTxn } from "./model/check-txn.ts";
import { type KeyOrRange, toKeyRange } from "./model/key-range.ts";
import type { KeyValue } from "./model/key-value.ts";
import { type LeaseId, type LeaseRef, toLeaseId } from "./model/lease-id.ts";
import { TypedClient } from "./typed/index.ts";
import {
  keyFeeds,
  type Mirror,
  type MirrorOptions,
  MultiplexedMirror,
  MultiplexedWatch,
  type Watch,
  type WatchOptions,
} from "./watch/index.ts";

/**
 * A client of etcd v3. It connects when it is first used, moves between its endpoints by itself, and holds nothing
 * while nothing is asked of it: a process that only has an idle client ends by itself.
 *
 * Every call takes `{ signal, timeoutMs }`: it rejects with `signal.reason` when aborted and never waits past its time,
 * which `range()` and `iterate()` have for each page.
 * Calls fail with `UnavailableError`, `EtcdTimeoutError`, `PermissionDeniedError`, `UnauthenticatedError`,
 * `RequestRefusedError`, `ExhaustedError`, `ProtocolError` or `ClientClosedError`; what else can happen stands with
 * each.
 *
 * Reads are repeated on other endpoints within their time. A write is repeated only if it provably was not executed;
 * otherwise its error has `outcomeUnknown: true`. The outcome of an aborted write is unknown.
 *
 * It emits `connected(endpoint)` and `disconnected(endpoint, reason)` as connections come and go. Clients of namespaces
 * emit them as well, for they share the connections. What a listener throws is a warning of the process.
 */
export class EtcdClient extends EventEmitter<ClientEvents> implements AsyncDisposable {
  static {
    showAs(EtcdClient, "EtcdClient", (it) => ({ endpoints: it.endpoints, closed: it.closed }));
  }

  /** Users, roles, and whether etcd asks for them. */
  readonly auth: Auth;
  /** The members of the cluster. */
  readonly cluster: Cluster;
  /** The care of the cluster: status, alarms, defragmentation, snapshots. */
  readonly maintenance: Maintenance;
  readonly #core: ClientCore;

  /** @throws InvalidOptionError that names the option, before any I/O */
  constructor(options: EtcdClientOptions = {}) {
    super();
    this.#core = ClientCore.of(options);
    setRuntime(this, this.#core.runtime);
    setNamespace(this, () => this.#core.namespace);
    setKeyFeeds(this, keyFeeds(this.#core.follow));
    setWhyUnreached(this, () => this.#core.protocol.unreached);
    ServerLimits.set(this, this.#core.limits);
    this.auth = new Auth(this.#core);
    this.cluster = new Cluster(this.#core);
    this.maintenance = new Maintenance(this.#core);
    this.#core.notices.attach(this);
  }

  /**
   * Reads one key; linearizable unless `serializable` is set.
   *
   * @returns undefined when there is no such key
   * @throws CompactedError, FutureRevisionError for a `revision` that etcd no longer or not yet has
   */
  async get(key: BytesLike, options?: ReadOptions): Promise<KeyValue | undefined> {
    return this.#for("get", options).kv.get(key, options);
  }

  /**
   * Reads a range of any size, in the order of keys unless `sort` says otherwise: in pages, all at the revision of the
   * first. `timeoutMs` holds for each page.
   *
   * The first `limit` by anything but the key cannot be read in pages: they come in one answer, for which etcd reads
   * all of the range. Without `limit` the pages are sorted here.
   *
   * @throws CompactedError, FutureRevisionError for a `revision` that etcd no longer or not yet has
   */
  async range(range: KeyOrRange, options?: RangeOptions): Promise<PagedRange> {
    return this.#for("range", options).kv.range(range, options);
  }

  /**
   * Reads a range of any size without holding it: for each key as it comes, from pages of some 2 MiB, all at the
   * revision of the first.
   *
   * ```ts
   * for await (const { key, text } of etcd.iterate(prefix("big/"))) console.log(key, text);
   * ```
   *
   * Nothing is read before the first key is asked for, nor beyond the page that the loop is left in. An etcd that has
   * RangeStream (3.7) sends what follows the first page by that, and no more at once than 4 MiB. `timeoutMs` holds for
   * each page. A range that is sorted by anything but its keys is held all the same, as `range()` does.
   *
   * @throws InvalidOptionError at once; from the loop CompactedError when the revision is compacted away in its middle
   *   (what came until then was right; a new loop reads a newer state), and what `range()` throws
   */
  iterate(range: KeyOrRange, options?: IterateOptions): AsyncIterableIterator<KeyValue> {
    return this.#for("iterate", options).kv.iterate(range, options);
  }

  /**
   * Forgets what was before `revision`: states that only a read at an earlier revision, or a watch that begins there,
   * could see. It cannot be undone, and holds for all keys of etcd, whatever the client's namespace.
   *
   * After an error with `outcomeUnknown: true`, or an abort, it may have been done, or be done later: to call it again
   * is harmless.
   *
   * @param revision at most the newest
   * @throws CompactedError when it is compacted up to there already; FutureRevisionError when there is no such revision
   *   yet
   */
  async compact(revision: number, options?: CompactOptions): Promise<void> {
    return this.#for("compact", options).kv.compact(revision, options);
  }

  /**
   * Writes one key. After an error with `outcomeUnknown: true`, or an abort, it may have been written, or be written
   * later.
   *
   * @throws LeaseNotFoundError when `lease` is gone: nothing was written; RequestRefusedError for more than etcd takes
   *   in one request (1.5 MiB, unless it was started with another `--max-request-bytes`), and where `ignoreValue` or
   *   `ignoreLease` finds no such key
   */
  async put(
    key: BytesLike,
    value: BytesLike,
    options?: PutOptions,
  ): Promise<{ revision: number; previous?: KeyValue }> {
    return this.#for("put", options).kv.put(key, value, options);
  }

  /**
   * Deletes a key or a range. After an error with `outcomeUnknown: true`, or an abort, it may have been deleted, or be
   * deleted later.
   */
  async delete(
    range: KeyOrRange,
    options?: DeleteOptions,
  ): Promise<{ deleted: number; revision: number; previous: readonly KeyValue[] }> {
    return this.#for("delete", options).kv.delete(range, options);
  }

  /**
   * Executes `success` if all compares hold, else `failure`, as one step at one revision. With writes in it: after an
   * error with `outcomeUnknown: true`, or an abort, it may have been executed, or be executed later. A compare on a
   * modRevision makes that harmless.
   *
   * @throws RequestRefusedError for one key written twice, more operations than etcd takes (128, unless it was started
   *   with another `--max-txn-ops`), or more bytes (as for `put()`); InvalidOptionError, also for a txn that keeps the
   *   value or the lease of a key which it has deleted, up to the last key: etcd would end by it, at each start again
   */
  async txn(request: TxnOptions, options?: TxnCallOptions): Promise<TxnAnswer> {
    checkTxn("txn", request);
    return this.#for("txn", options).kv.txn(request, options);
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
   * @param options `timeoutMs` holds for all tries together, 10 s if it is left out. When it ends while `work` runs,
   *   `work` is not waited for
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
    const { kv, runtime, follow } = this.#for("stm", options);
    return runStm(kv, runtime, work, options, (listener) => follow.closing.on(listener));
  }

  /**
   * Grants a lease. It is kept alive until `revoke()` or `close()`, unless `keepAlive: false` makes it detached: never
   * renewed by us, it outlives the process.
   *
   * @param ttlSeconds whole seconds, 1 to 9000000000; etcd may grant more
   * @throws InvalidOptionError; ConflictError when a lease with the given `id` exists
   */
  async grantLease(ttlSeconds: number, options: GrantLeaseOptions = {}): Promise<Lease> {
    return this.#for("grantLease", options).leases.grant(ttlSeconds, options);
  }

  /**
   * Takes over a lease that exists: granted by another process, by `etcdctl`, or before a restart. From here on it is
   * this client's as if it had granted it; other clients go on as they did.
   *
   * Guaranteed: as of a lease that is granted. It is renewed once before this resolves, unless `keepAlive: false`: then
   * its `signal` aborts when the time is over that it had left, also if others renew it.
   *
   * Not guaranteed: that it is held here alone. As a lease whose id was chosen, it is never revoked in the background. A
   * revocation that this client repeats in the background is called off, also if the adoption fails.
   *
   * @throws LeaseNotFoundError when there is no such lease any more; ConflictError when this client holds it already
   */
  async adoptLease(lease: LeaseRef, options?: AdoptLeaseOptions): Promise<Lease> {
    return this.#for("adoptLease", options).leases.adopt(toLeaseId("adoptLease", lease), options);
  }

  /**
   * Renews a lease once, whichever client holds it: for work that comes in steps, and for what another process granted.
   * `ttlSeconds` is the time that it has again. Repeated on other endpoints within its time, as that does no harm.
   *
   * @throws LeaseNotFoundError when there is no such lease any more
   */
  async keepAliveOnce(lease: LeaseRef, options?: CallOptions): Promise<LeaseRenewal> {
    return this.#for("keepAliveOnce", options).leases.renewOnce(toLeaseId("keepAliveOnce", lease), options);
  }

  /**
   * The ids of all leases that etcd has, whichever client granted them and whatever their keys: of every namespace.
   *
   * Not guaranteed: that those of the last moment are there. A member answers from what it has, and may be behind.
   */
  async leases(options?: CallOptions): Promise<readonly LeaseId[]> {
    return this.#for("leases", options).leases.list(options);
  }

  /**
   * What etcd says of a lease, with the keys on it, whichever client holds it.
   *
   * @throws LeaseNotFoundError when there is no such lease any more
   */
  async leaseTimeToLive(lease: LeaseRef, options?: TimeToLiveOptions): Promise<LeaseTimeToLive> {
    const { leases } = this.#for("leaseTimeToLive", options);
    return leases.timeToLive(toLeaseId("leaseTimeToLive", lease), options);
  }

  /**
   * Follows a key or a range; opens now, not at the first read.
   *
   * @throws InvalidOptionError; ClientClosedError
   */
  watch(range: KeyOrRange, options: WatchOptions = {}): Watch {
    const { follow } = this.#for("watch", options);
    return new MultiplexedWatch(follow, ownRange(toKeyRange("watch", range)), options);
  }

  /**
   * Keeps a local copy of a range true for ever.
   *
   * @throws InvalidOptionError; ClientClosedError
   */
  mirror(range: KeyOrRange, options: MirrorOptions = {}): Mirror {
    const { follow } = this.#for("mirror", options);
    return new MultiplexedMirror(follow, ownRange(toKeyRange("mirror", range)), options);
  }

  /** The same as `maintenance.status()`. */
  status(options?: StatusOptions): Promise<EtcdStatus> {
    return this.maintenance.status(options);
  }

  /**
   * A client of the keys that begin with `namespace`, on the connections of this one: it writes that before every key
   * and takes it off again, and sees nothing else. Leases, watches, mirrors and recipes work in it as in any client;
   * all of them share the connections, one stream of watches and one of renewals. Namespaces nest.
   *
   * Closing it ends its own watches and mirrors, and revokes the leases that it keeps alive; it closes no connection,
   * and its calls under way go on. It ends with this client, and need not be closed: one that is let go of leaves
   * nothing behind.
   *
   * Calls that travel together do so with those of the same namespace. `leases()`, `compact()` and `status()` are about
   * all of etcd. It keeps no client out: that is what roles are for.
   *
   * @throws InvalidOptionError; ClientClosedError
   */
  namespace(namespace: string): EtcdClient {
    if (typeof namespace !== "string" || namespace === "") {
      const given = namespace === "" ? "" : `, not ${shown(namespace)}`;
      throw new InvalidOptionError("namespace", "namespace", `must be a string that is not empty${given}`);
    }
    const bytes = checkedBytes("namespace", "namespace", namespace);
    this.#core.checkOpen("namespace");
    return new EtcdClient(this.#core.within(bytes));
  }

  /**
   * The keys of this client with values that are JSON and valid by a schema: any Standard Schema (zod, valibot,
   * arktype) that is synchronous, or `anyJson`.
   *
   * ```ts
   * const config = etcd.typed(z.object({ retries: z.number() }));
   * await config.put("config/a", { retries: 3 });
   * (await config.get("config/a"))?.value.retries;
   * ```
   *
   * @throws InvalidOptionError for what is no such schema
   */
  typed<Input, Value>(schema: StandardSchema<Input, Value>): TypedClient<Input, Value> {
    return new TypedClient(this, schema);
  }

  /**
   * Whether etcd serves this client: one linearizable read, to which a majority of the members must agree. Resolves
   * also when it does not, with the reason as `error`; `timeoutMs` is how long it may take.
   *
   * ```ts
   * for (const endpoint of etcd.endpoints) console.log(await etcd.health({ endpoint, timeoutMs: 2_000 }));
   * ```
   *
   * @throws InvalidOptionError, for an endpoint that is none of the client's among others; ClientClosedError;
   *   `signal.reason`
   */
  async health(options?: HealthOptions): Promise<EtcdHealth> {
    const { protocol, runtime } = this.#for("health", options);
    return checkHealth(protocol, runtime.clock, endpointOf(protocol, "health", options?.endpoint), options);
  }

  /**
   * From now on these are the endpoints, also for namespaces on the same connections. Connections to endpoints that
   * stay are not touched. On the others calls under way may finish; watches and renewals go on elsewhere and miss
   * nothing.
   *
   * @throws InvalidOptionError for an empty list, for what is no endpoint, and where http would become https or the
   *   other way round; ClientClosedError
   */
  setEndpoints(endpoints: string | readonly string[]): void {
    this.#core.checkOpen("setEndpoints");
    this.#core.protocol.setEndpoints(toEndpoints("setEndpoints", endpoints), "given");
  }

  /**
   * Makes the client URLs of the cluster's members the endpoints, once. Learners are left out, as are members without a
   * client URL and URLs of the other scheme. Where nothing is left, or `setEndpoints()` is called meanwhile, the
   * endpoints stay as they are. `followMembers` does it by itself.
   *
   * The URLs are those that members advertise by their flags. etcd's default, `http://localhost:2379`, serves only
   * clients on the same machine.
   *
   * @returns the endpoints in use
   */
  async syncEndpoints(options?: CallOptions): Promise<readonly string[]> {
    const { protocol } = this.#for("syncEndpoints", options);
    try {
      await followMembersOnce(protocol, options);
    } catch (error) {
      throw errorOfCall(() => "syncEndpoints", error, options?.signal);
    }
    return this.endpoints;
  }

  /** Removes the listeners of one event, or of all. Those that are added later are heard as before. */
  override removeAllListeners(event?: string | symbol): this {
    if (event !== undefined) return super.removeAllListeners(event as never);
    super.removeAllListeners();
    // What brings the events here was a listener as well.
    this.#core.notices.attach(this);
    return this;
  }

  /** The endpoints in use, as URLs. */
  get endpoints(): readonly string[] {
    return this.#core.protocol.endpoints.map(({ url }) => url);
  }

  get closed(): boolean {
    return this.#core.closed;
  }

  /**
   * Ends watches and mirrors with `ClientClosedError`, revokes the kept-alive leases (not the detached ones), then ends
   * calls under way with the same error, writes among them with `outcomeUnknown: true`, and closes all connections.
   * Takes 2 s at most, also when etcd does not answer. Calling it again is harmless.
   */
  close(): Promise<void> {
    return this.#core.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What a call is handed to, once its options are looked at. */
  #for(call: keyof typeof checkOf, options: object | undefined): ClientCore {
    checkOf[call](options);
    this.#core.checkOpen(call);
    return this.#core;
  }
}
