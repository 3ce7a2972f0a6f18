import {
  type CallOptions,
  type EtcdClient,
  getOp,
  type KeyValue,
  type Lease,
  LeaseNotFoundError,
  type Op,
  type OpResult,
  putOp,
} from "../../src/index.ts";
import {
  abortable,
  type Clock,
  inMs,
  isOfOne,
  nestedSize,
  type PartSize,
  queueMicrotask,
  quietDeferred,
  ServerLimits,
  sendInParts,
  TxnRoom,
  waitedInVain,
  within,
} from "../../src/internal/index.ts";
import { LARGEST_DETACHED_TTL_SECONDS } from "../option-schemas/index.ts";
import { foundBy, isAsKnown, opIfUnchanged } from "../writes/index.ts";
import type { BucketLeases } from "./bucket-leases.ts";
import { type Buckets, encodeTracking, type Tracking } from "./buckets.ts";
import { stateOf, type Tracked, type TrackedKeys } from "./tracked-keys.ts";

const BATCHES_AT_ONCE = 4;

const touched = Promise.resolve(true);
/** As long as what is put, with numbers of all digits. */
const largest = encodeTracking({
  bucket: Number.MAX_SAFE_INTEGER,
  expiresAt: 0.1 + 2 ** 40,
  ttlSeconds: LARGEST_DETACHED_TTL_SECONDS,
});

export interface TouchesParts {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly buckets: Buckets;
  readonly clock: Clock;
  readonly keys: TrackedKeys;
  readonly leases: BucketLeases;
  /** Whether `keys` follows etcd at this moment. */
  readonly isLive: () => boolean;
  /** Called with an id whose key etcd answered for, and which is gone by now. */
  readonly onGone: (id: string) => void;
}

interface PendingMove {
  readonly id: string;
  readonly expiresAt: number;
  /** Make the key if it is not there. */
  readonly create: boolean;
  /** What etcd answered instead of what was known. */
  seen?: { readonly state: Tracked | undefined };
  /** Whether its request has left: what it comes to may be older than a call that is made now. */
  sent: boolean;
  readonly promise: Promise<boolean>;
  resolve(there: boolean): void;
  reject(error: unknown): void;
}

/** What one move sends, and what the key is like after it. */
interface KeyStep {
  readonly op: Op;
  readonly expiresAt: number;
  readonly ttlSeconds: number;
}

/**
 * Moves keys to the bucket of now. Each move is "if the key is as known, put it with the lease of the new bucket", and
 * only ever to a later one: a late touch of another process cannot move it back. A key that a tracker of a longer TTL
 * has put further ahead stays there, on its lease. One that stands further ahead than clocks may differ by its own TTL
 * keeps its end, and gets a lease of the longer TTL with each touch: the wall clock was set back, and the lease that it
 * was on ends earlier than it says. Moves travel in batches of nested txns, so a key that is gone fails its own move
 * and no other.
 *
 * They are batches of its own, not those of `EtcdClient.txn({ batch: true })`, though of the same limits: all moves of
 * one are on one lease, so when etcd has lost it the whole batch is sent again; what is only looked at travels, too;
 * and calls share a move until it leaves.
 */
export class Touches {
  readonly #parts: TouchesParts;
  readonly #limits: ServerLimits;
  /** What was asked for and is not answered yet. */
  readonly #moves = new Map<string, PendingMove>();
  /** Those of them that were not sent, from `#next` on. */
  #queue: PendingMove[] = [];
  #next = 0;
  #batches = 0;
  #scheduled = false;

  constructor(parts: TouchesParts) {
    this.#parts = parts;
    this.#limits = ServerLimits.of(parts.etcd);
  }

  /**
   * @param create whether to make a key that is not there: then etcd is asked in any case, for what is known here may
   *   be older than a deletion that another process has seen
   * @returns whether the key is there, in the bucket of now or the next. A touch sends no request when that is known
   */
  move(id: string, create: boolean, call: CallOptions): Promise<boolean> {
    if (!create && this.#isTouched(id)) return touched;
    const { buckets, clock } = this.#parts;
    const move = this.#moveOf(id, buckets.at(clock.wallMs()).expiresAt, create);
    return call.signal === undefined && call.timeoutMs === undefined ? move.promise : this.#waitFor(move, call);
  }

  /** Whether the key is known to be in the bucket of now, or the next. */
  #isTouched(id: string): boolean {
    const { buckets, clock, keys } = this.#parts;
    if (!buckets.isCurrent(keys.get(id), clock.wallMs())) return false;
    return keys.isAnswered(id) || this.#parts.isLive();
  }

  async #waitFor({ id, promise }: PendingMove, { signal, timeoutMs }: CallOptions): Promise<boolean> {
    signal?.throwIfAborted();
    const waiting = abortable(promise, signal);
    if (timeoutMs === undefined) return waiting;
    const { clock, etcd } = this.#parts;
    const outOfTime = () =>
      waitedInVain(etcd, `${id} was not touched within ${inMs(timeoutMs)}`, { retryable: true, outcomeUnknown: true });
    return within(clock, waiting, timeoutMs, outOfTime);
  }

  /** One for all calls that want the same and come before its request leaves. */
  #moveOf(id: string, expiresAt: number, create: boolean): PendingMove {
    const known = this.#moves.get(id);
    if (known && !known.sent && known.expiresAt >= expiresAt && (known.create || !create)) return known;
    const move: PendingMove = { id, expiresAt, create, sent: false, ...quietDeferred<boolean>() };
    this.#moves.set(id, move);
    this.#enqueue(move);
    return move;
  }

  #enqueue(move: PendingMove): void {
    this.#queue.push(move);
    if (this.#scheduled || this.#batches >= BATCHES_AT_ONCE) return;
    this.#scheduled = true;
    // What is asked for in the same breath travels together.
    queueMicrotask(() => {
      this.#scheduled = false;
      while (this.#next < this.#queue.length && this.#batches < BATCHES_AT_ONCE)
        void this.#sendBatch(this.#takeBatch());
    });
  }

  #takeBatch(): PendingMove[] {
    const batch = new Map<string, PendingMove>();
    const later: PendingMove[] = [];
    const room = new TxnRoom(this.#limits);
    for (; this.#next < this.#queue.length; this.#next++) {
      const move = this.#queue[this.#next] as PendingMove;
      // No key twice in one txn.
      if (batch.has(move.id)) later.push(move);
      else if (room.take(this.#sizeOf(move))) batch.set(move.id, move);
      else break;
    }
    for (const move of batch.values()) move.sent = true;
    for (const move of later) this.#queue.push(move);
    if (this.#next >= this.#queue.length / 2) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
    return [...batch.values()];
  }

  async #sendBatch(batch: readonly PendingMove[]): Promise<void> {
    this.#batches++;
    await sendInParts(batch, {
      limits: this.#limits,
      sizeOf: (move) => this.#sizeOf(move),
      send: async (part) => {
        const { answers, moved } = await this.#send(part);
        for (const [i, move] of part.entries()) this.#answered(move, answers[i] as OpResult, moved[i] as Tracked);
      },
      failed: (part, error) => {
        for (const move of part) this.#settle(move, () => move.reject(error));
      },
      // The lease is that of all of them.
      splits: (error) => isOfOne(error) && !(error instanceof LeaseNotFoundError),
    });
    this.#batches--;
    if (this.#next < this.#queue.length) void this.#sendBatch(this.#takeBatch());
  }

  /** Of the largest that it can be: known, and put on a lease. */
  #sizeOf({ id }: PendingMove): PartSize {
    const key = this.#parts.prefix + id;
    const compare = isAsKnown(key, { modRevision: 1 });
    return nestedSize({ compare, success: [putOp(key, largest)], failure: [getOp(key)] });
  }

  /** @returns also the state of each key, if it was moved */
  async #send(batch: readonly PendingMove[]): Promise<{ answers: readonly OpResult[]; moved: readonly Tracked[] }> {
    const { etcd, leases, buckets, clock } = this.#parts;
    const nowMs = clock.wallMs();
    const target = buckets.at(nowMs);
    const ttlSeconds = Math.max(...batch.map((move) => this.#ttlOf(this.#knownOf(move), nowMs)));
    return leases.use(buckets.of(ttlSeconds).at(nowMs), async (lease) => {
      const steps = batch.map((move) => this.#stepOf(move, target, { lease, ttlSeconds }));
      const { responses, revision } = await etcd.txn({ success: steps.map(({ op }) => op) });
      const moved = steps.map(({ op: _, ...end }) => ({ ...end, modRevision: revision, lease: lease.id }));
      return { answers: responses, moved };
    });
  }

  /** What the move starts from. */
  #knownOf({ id, seen }: PendingMove): Tracked | undefined {
    return seen ? seen.state : this.#parts.keys.get(id);
  }

  /** The TTL of the lease that the key gets. One that keeps its end keeps that of another tracker, if it is longer. */
  #ttlOf(known: Tracked | undefined, nowMs: number): number {
    const { buckets } = this.#parts;
    return buckets.isAhead(known, nowMs) ? Math.max(known?.ttlSeconds ?? 0, buckets.ttlSeconds) : buckets.ttlSeconds;
  }

  /** @returns also until when the key lives at least, if it is moved, and by which TTL */
  #stepOf(move: PendingMove, target: Tracking, on: { lease: Lease; ttlSeconds: number }): KeyStep {
    const { buckets, clock, prefix } = this.#parts;
    const key = prefix + move.id;
    const known = this.#knownOf(move);
    // By the time that it is now: the lease may have come late.
    const nowMs = clock.wallMs();
    const end = known?.expiresAt ?? 0;
    const expiresAt = Math.max(end, target.expiresAt);
    const ttlSeconds = this.#ttlOf(known, nowMs);
    const step = (op: Op) => ({ op, expiresAt, ttlSeconds });
    // Nothing is known that could be moved: it is looked at first.
    if (!known && !move.create) return step(getOp(key));
    const stays = end >= target.expiresAt && !buckets.isAhead(known, nowMs);
    // It became known while the lease was granted, and goes on a longer one with the next batch.
    const waits = ttlSeconds > on.ttlSeconds;
    const put = putOp(key, encodeTracking({ ...target, expiresAt, ttlSeconds }), { lease: on.lease });
    return step(opIfUnchanged(key, known, stays || waits ? getOp(key) : put));
  }

  #answered(move: PendingMove, answer: OpResult, moved: Tracked): void {
    const { id } = move;
    if (answer.type === "txn" && answer.responses[0]?.type === "put") {
      this.#found(id, moved);
      this.#settle(move, () => move.resolve(true));
      return;
    }
    this.#read(move, foundBy(answer), moved.modRevision);
  }

  /** What etcd has instead of what was known: enough, nothing, or something to move in the next batch. */
  #read(move: PendingMove, kv: KeyValue | undefined, revision: number): void {
    const { keys, buckets, clock } = this.#parts;
    const state = kv && stateOf(kv);
    if (state) this.#found(move.id, state);
    else keys.missing(move.id, revision);
    move.seen = { state };
    if (buckets.isCurrent(state, clock.wallMs())) this.#settle(move, () => move.resolve(true));
    else if (!kv && !move.create) this.#settle(move, () => move.resolve(false));
    else {
      move.sent = false;
      this.#queue.push(move);
    }
  }

  #found(id: string, state: Tracked): void {
    if (!this.#parts.keys.found(id, state)) this.#parts.onGone(id);
  }

  #settle(move: PendingMove, settle: () => void): void {
    if (this.#moves.get(move.id) === move) this.#moves.delete(move.id);
    settle();
  }
}
