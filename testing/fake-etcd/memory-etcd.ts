import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  LeaseGrantResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  TxnRequest,
  TxnResponse,
} from "../../src/connection/codec/messages.ts";
import type {
  LeaseTimeToLiveResponse,
  MemberStatus,
  RangeResponse,
  WatchResponse,
} from "../../src/connection/index.ts";
import { type Clock, systemClock } from "../../src/internal/index.ts";
import type { KeyRange } from "../../src/model/key-range.ts";
import type { KeyValue } from "../../src/model/key-value.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import { KeyStore } from "./key-store.ts";
import { textRange } from "./key-text.ts";
import { LeaseTable } from "./lease-table.ts";
import { readRange } from "./range-reader.ts";
import { refuse, refuseMessage } from "./refusal.ts";
import { checkTxn } from "./txn-check.ts";
import { checkKept, executePut, runTxn } from "./txn-run.ts";
import { ServerWatchStream } from "./watch-server.ts";

export interface MemoryEtcdOptions {
  /** What the leases live by. @default the system's */
  readonly clock?: Clock | undefined;
  /** As `--max-txn-ops`. @default 128 */
  readonly mostTxnOperations?: number | undefined;
  /** As `--max-request-bytes`. @default 1.5 MiB */
  readonly mostRequestBytes?: number | undefined;
  /** An answer to a watch with more bytes goes in parts. @default 1.5 MiB */
  readonly fragmentBytes?: number | undefined;
  /** How late the end of a lease is found, in milliseconds. @default 0 */
  readonly leaseLateMs?: (() => number) | undefined;
  /** How long a watch that begins in the past waits for its history, in milliseconds. @default 0 */
  readonly watchHistoryMs?: (() => number) | undefined;
}

/** Around a key and its value on the wire. */
const AROUND_BYTES = 24;
/** What Raft adds to a write: the number of the request, and which kind it is (etcdserverpb, InternalRaftRequest). */
const AROUND_WRITE_BYTES = 20;
/** gRPC takes so many more bytes than etcd does (embed/serve.go). */
const GRPC_OVERHEAD_BYTES = 512 * 1024;

/**
 * An etcd of one member, in memory: keys with their history, txns, leases, watches and compaction, as etcd 3.5 has
 * them. Each request is executed whole, when it is called; how it comes here and how its answer comes back is up to a
 * Network.
 *
 * What it lacks: users and roles, more than one member and the care of it.
 */
export class MemoryEtcd {
  readonly clock: Clock;
  readonly #store: KeyStore;
  readonly #leases: LeaseTable;
  readonly #streams = new Set<ServerWatchStream>();
  readonly #mostTxnOperations: number;
  readonly #mostRequestBytes: number;
  readonly #fragmentBytes: number;
  readonly #watchHistoryMs: () => number;
  #raftTerm = 2;

  constructor(options: MemoryEtcdOptions = {}) {
    const { clock = systemClock, mostTxnOperations = 128, fragmentBytes = 1.5 * 2 ** 20 } = options;
    this.clock = clock;
    this.#mostTxnOperations = mostTxnOperations;
    this.#mostRequestBytes = options.mostRequestBytes ?? 1.5 * 2 ** 20;
    this.#fragmentBytes = fragmentBytes;
    this.#watchHistoryMs = options.watchHistoryMs ?? (() => 0);
    this.#leases = new LeaseTable({
      clock,
      lateMs: options.leaseLateMs,
      onGone: (keys) =>
        this.#store.write((writer) => {
          for (const key of keys) writer.delete({ start: key, end: undefined });
        }),
    });
    this.#store = new KeyStore((revision) => {
      for (const change of revision.changes) this.#leases.changed(change);
      for (const stream of this.#streams) stream.changed(revision);
    });
  }

  get revision(): number {
    return this.#store.revision;
  }

  get compactRevision(): number {
    return this.#store.compactRevision;
  }

  /** The keys of a range, as they are or as they were. */
  entries(range: KeyRange, revision?: number): KeyValue[] {
    return this.#store.range(textRange(range), revision);
  }

  get leaseIds(): readonly LeaseId[] {
    return this.#leases.ids;
  }

  range(request: RangeRequest): RangeResponse {
    if (request.range.start.length === 0) throw refuse("emptyKey");
    if (request.revision) this.#store.checkRevision(request.revision);
    const { kvs, count, more } = readRange(this.#store, request);
    const bytes = kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length + AROUND_BYTES, 0);
    return { revision: this.revision, kvs, count, more, bytes };
  }

  /** @param requestBytes how long it is on the wire */
  put(request: PutRequest, requestBytes = 0): PutResponse {
    const { key, lease, previous } = request;
    this.#checkReceived(requestBytes);
    if (key.length === 0) throw refuse("emptyKey");
    this.#checkProposed(requestBytes);
    // In this order; a txn looks for the key first.
    if (lease !== undefined && !this.#leases.has(lease)) throw refuse("leaseNotFound");
    checkKept(this.#store, request);
    const before = this.#store.write((writer) => executePut(this.#store, writer, request));
    return previous && before ? { revision: this.revision, previous: before } : { revision: this.revision };
  }

  deleteRange({ range, previous }: DeleteRangeRequest, requestBytes = 0): DeleteRangeResponse {
    this.#checkReceived(requestBytes);
    if (range.start.length === 0) throw refuse("emptyKey");
    this.#checkProposed(requestBytes);
    const deleted = this.#store.write((writer) => writer.delete(textRange(range)));
    return { revision: this.revision, deleted: deleted.length, previous: previous ? deleted : [] };
  }

  txn(request: TxnRequest, requestBytes = 0): TxnResponse {
    this.#checkReceived(requestBytes);
    checkTxn(request, this.#mostTxnOperations);
    this.#checkProposed(requestBytes);
    return runTxn(this.#store, this.#leases, request);
  }

  leaseGrant(id: LeaseId, ttlSeconds: number): LeaseGrantResponse {
    return { id, ttlSeconds: this.#leases.grant(id, ttlSeconds) };
  }

  leaseRevoke(id: LeaseId): void {
    this.#leases.revoke(id);
  }

  leaseTimeToLive(id: LeaseId, keys: boolean): LeaseTimeToLiveResponse {
    return this.#leases.timeToLive(id, keys);
  }

  /** @returns the lease's TTL; 0 when there is none */
  renew(id: LeaseId): number {
    return this.#leases.renew(id);
  }

  status(): MemberStatus {
    const memberId = "8e9e05c52164694d";
    const dbSizeBytes = 20_480;
    return {
      clusterId: "cdf818194e3a8c32",
      memberId,
      version: "3.5.0",
      leaderId: memberId,
      isLearner: false,
      revision: this.revision,
      raftTerm: this.#raftTerm,
      raftIndex: this.revision,
      raftAppliedIndex: this.revision,
      dbSizeBytes,
      dbSizeInUseBytes: dbSizeBytes,
      dbSizeQuotaBytes: undefined,
      storageVersion: undefined,
      downgradeTo: undefined,
      errors: [],
    };
  }

  openWatchStream(send: (response: WatchResponse) => void): ServerWatchStream {
    const { clock } = this;
    const parts = {
      store: this.#store,
      clock,
      fragmentBytes: this.#fragmentBytes,
      historyMs: this.#watchHistoryMs,
    };
    const stream = new ServerWatchStream(parts, send);
    this.#streams.add(stream);
    return stream;
  }

  closeWatchStream(stream: ServerWatchStream): void {
    stream.close();
    this.#streams.delete(stream);
  }

  /** @throws GrpcFailure for a revision that is compacted already, or yet to come */
  compact(revision: number): void {
    this.#store.compact(revision);
  }

  /** Says to each watch how far it has received everything, as etcd does from time to time. */
  reportProgress(): void {
    for (const stream of this.#streams) stream.progress();
  }

  /** Another leader was elected: every lease has its whole time again. */
  changeLeader(): void {
    this.#raftTerm++;
    this.#leases.refreshAll();
  }

  /** As if its time were over. @throws GrpcFailure when there is no such lease */
  expireLease(id: LeaseId): void {
    this.#leases.revoke(id);
  }

  /** As if it had been started anew, without any data. Its streams break: see `Network`. */
  wipe(): void {
    for (const stream of [...this.#streams]) this.closeWatchStream(stream);
    this.#raftTerm = 2;
    this.#store.wipe();
    this.#leases.clear();
  }

  /** Lets its timer and its streams go. */
  close(): void {
    for (const stream of [...this.#streams]) this.closeWatchStream(stream);
    this.#leases.clear();
  }

  /** As a snapshot of that revision brings it back, which must not be compacted. Its streams break: see `Network`. */
  restore(revision: number): void {
    for (const stream of [...this.#streams]) this.closeWatchStream(stream);
    this.#store.restore(revision);
    this.#leases.restore(this.#store.range({ start: "\0", end: Number.POSITIVE_INFINITY }));
  }

  /** By gRPC, before it is read. @throws GrpcFailure */
  #checkReceived(requestBytes: number): void {
    const most = this.#mostRequestBytes + GRPC_OVERHEAD_BYTES;
    if (requestBytes > most) throw refuseMessage(requestBytes, most);
  }

  /** By etcd, before it is proposed. @throws GrpcFailure */
  #checkProposed(requestBytes: number): void {
    if (requestBytes + AROUND_WRITE_BYTES > this.#mostRequestBytes) throw refuse("requestTooLarge");
  }
}
