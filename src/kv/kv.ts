import type { Protocol } from "../connection/index.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import type { Clock } from "../internal/clock.ts";
import type { ServerLimits } from "../internal/server-limits.ts";
import type { BytesLike } from "../model/bytes.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { Compare } from "../model/compare.ts";
import { keyName } from "../model/key-name.ts";
import { type KeyOrRange, type KeyRange, toKey, toKeyRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { LeaseRef } from "../model/lease-id.ts";
import { type Op, type OpResult, type RangeSort, type RevisionBounds, revisionBounds } from "../model/op.ts";
import { type KeptByPut, toPut } from "../model/to-put.ts";
import { txnName } from "../model/txn-name.ts";
import { guardedStep } from "./guarded-step.ts";
import { GuardedWrites } from "./guarded-writes.ts";
import { ownRange } from "./own-range.ts";
import { PageSizes } from "./page-sizes.ts";
import { type PagedRange, pagedRange } from "./paged-range.ts";
import type { PointReads } from "./point-reads.ts";
import { PointWrites } from "./point-writes.ts";
import { rangePages } from "./range-pages.ts";
import { sortedRange } from "./sorted-range.ts";

export interface ReadOptions extends CallOptions {
  /** Read the state at this revision. @default the newest */
  revision?: number | undefined;
  /**
   * Let the member that is asked answer from what it has: faster, but it may be behind. @default false: the answer
   * contains every write that was acknowledged before the call
   */
  serializable?: boolean | undefined;
}

/**
 * What `range()` and `iterate()` take. etcd looks at every key of a range that is bounded by revisions, or sorted, for
 * each page of it.
 */
export interface IterateOptions extends ReadOptions, RevisionBounds {
  /** At most so many keys. @default all */
  limit?: number | undefined;
  /** Leave the values out. @default false */
  keysOnly?: boolean | undefined;
  /**
   * Which come first, also for `limit`. Where the target is the same, their order is etcd's with `limit`, else that of
   * keys. @default by key, ascending
   */
  sort?: RangeSort | undefined;
}

export interface RangeOptions extends IterateOptions {
  /** Only count; `kvs` stays empty. Not with bounds of revisions, which etcd does not count by. @default false */
  countOnly?: boolean | undefined;
}

export interface PutOptions extends CallOptions, KeptByPut {
  /** The key dies with this lease. @default none: it stays until it is deleted, also one that was on a lease before */
  lease?: LeaseRef | undefined;
  /** Answer with the state before, too. @default false */
  previous?: boolean | undefined;
  /**
   * Let it travel with other puts and deletes of single keys that are made at the same time: many times faster, but
   * they are written at one revision, and a watch gets them together. @default the client's autoBatch
   */
  batch?: boolean | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Answer with what was deleted, too. @default false */
  previous?: boolean | undefined;
  /** As for a put; a range is deleted by itself. @default the client's autoBatch */
  batch?: boolean | undefined;
}

export interface CompactOptions extends CallOptions {
  /** Wait until the member that was asked has freed what was compacted. @default false: it does so in the background */
  physical?: boolean | undefined;
}

export interface TxnOptions {
  /** All must hold for `success` to be executed. @default none: `success` */
  compare?: readonly Compare[] | undefined;
  success?: readonly Op[] | undefined;
  failure?: readonly Op[] | undefined;
}

export interface TxnCallOptions extends CallOptions {
  /**
   * Let it travel with other txns that write single keys and are made at the same time, as a txn within one txn: many
   * times faster, but they are written at one revision, and a watch gets them together. Each has its own compares and
   * its own answer; two of which one writes a key that the other names are executed in the order of the calls. One that
   * names a range, or only reads, goes by itself.
   *
   * `autoBatch` does not switch it on: an etcd before 3.4.42, 3.5.28 and 3.6.9 checks no permission in nested txns, so
   * there a client with `auth` is let through where its role would not let it.
   *
   * @default false
   */
  batch?: boolean | undefined;
}

export interface TxnAnswer {
  /** Whether the compares held. */
  readonly succeeded: boolean;
  readonly revision: number;
  /** One for each operation of the branch that was executed, in order. */
  readonly responses: readonly OpResult[];
}

/** The calls on keys. EtcdClient hands its own to this; the contract of each stands there. */
export class Kv {
  readonly #protocol: Protocol;
  readonly #autoBatch: boolean;
  readonly #reads: PointReads;
  readonly #writes: PointWrites;
  readonly #guarded: GuardedWrites;
  readonly #pageSizes = new PageSizes();

  constructor(protocol: Protocol, reads: PointReads, clock: Clock, autoBatch: boolean, limits?: ServerLimits) {
    this.#protocol = protocol;
    this.#autoBatch = autoBatch;
    this.#reads = reads;
    this.#writes = new PointWrites(protocol, clock, limits);
    this.#guarded = new GuardedWrites(protocol, clock, limits);
  }

  async get(key: BytesLike, options: ReadOptions = {}): Promise<KeyValue | undefined> {
    const { revision, serializable } = options;
    const start = new Uint8Array(toKey("get", key));
    try {
      if (revision === undefined) return (await this.#reads.get(start, serializable, options)).kv;
      const { kvs } = await this.#protocol.range({ range: { start }, revision, serializable }, options);
      return kvs[0];
    } catch (error) {
      throw errorOfCall(() => `get ${keyName({ start })}`, error, options.signal);
    }
  }

  async range(key: KeyOrRange, options: RangeOptions = {}): Promise<PagedRange> {
    const range = ownRange(toKeyRange("range", key));
    const { countOnly, sort, ...read } = options;
    const { revision, serializable, keysOnly } = read;
    if (countOnly) checkCountable(read);
    try {
      if (!countOnly) {
        const pages = { ...read, pageSize: this.#pageSizes.of(range, keysOnly) };
        if (sort) return await sortedRange(this.#protocol, range, sort, pages);
        return await pagedRange(this.#protocol, range, pages);
      }
      const answer = await this.#protocol.range({ range, revision, serializable, countOnly: true }, options);
      return { kvs: [], revision: revision ?? answer.revision, count: answer.count };
    } catch (error) {
      throw errorOfCall(() => `range ${keyName(range)}`, error, options.signal);
    }
  }

  iterate(key: KeyOrRange, options: IterateOptions = {}): AsyncGenerator<KeyValue, void, undefined> {
    return this.#iterate(ownRange(toKeyRange("iterate", key)), { ...options });
  }

  async *#iterate(range: KeyRange, options: IterateOptions): AsyncGenerator<KeyValue, void, undefined> {
    const { sort, ...read } = options;
    try {
      if (sort && sort.target !== "key") {
        yield* (await sortedRange(this.#protocol, range, sort, read)).kvs;
        return;
      }
      const descend = sort?.order === "descend";
      const streamed = !descend && revisionBounds.every((bound) => read[bound] === undefined);
      for await (const { kvs } of rangePages(this.#protocol, range, { ...read, descend, streamed })) yield* kvs;
    } catch (error) {
      throw errorOfCall(() => `iterate ${keyName(range)}`, error, options.signal);
    }
  }

  async compact(revision: number, { physical = false, ...options }: CompactOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(revision) || revision < 1) {
      const problem = `must be a whole number of at least 1, not ${shown(revision)}${unawaited(revision)}`;
      throw new InvalidOptionError("compact", "revision", problem);
    }
    await this.#protocol.compact(revision, physical, options).catch((error: unknown) => {
      throw errorOfCall(() => `compact up to revision ${revision}`, error, options.signal);
    });
  }

  async put(
    key: BytesLike,
    value: BytesLike,
    options: PutOptions = {},
  ): Promise<{ revision: number; previous?: KeyValue }> {
    const { batch = this.#autoBatch } = options;
    const put = toPut("put", key, value, options);
    try {
      if (!batch) return await this.#protocol.put(put, options);
      // It may leave a moment later, when the caller has other things in its buffers.
      const own = { key: new Uint8Array(put.key), value: new Uint8Array(put.value) };
      return await this.#writes.put({ type: "put", ...put, ...own }, options);
    } catch (error) {
      throw errorOfCall(() => `put ${keyName({ start: put.key })}`, error, options.signal);
    }
  }

  async delete(
    key: KeyOrRange,
    options: DeleteOptions = {},
  ): Promise<{ deleted: number; revision: number; previous: readonly KeyValue[] }> {
    const { previous, batch = this.#autoBatch } = options;
    const range = toKeyRange("delete", key);
    try {
      if (batch && !range.end) return await this.#writes.delete(new Uint8Array(range.start), previous, options);
      return await this.#protocol.deleteRange({ range, previous }, options);
    } catch (error) {
      throw errorOfCall(() => `delete ${keyName(range)}`, error, options.signal);
    }
  }

  async txn(request: TxnOptions, options: TxnCallOptions = {}): Promise<TxnAnswer> {
    const { compare = [], success = [], failure = [] } = request;
    try {
      const step = options.batch ? guardedStep({ compare, success, failure }) : undefined;
      if (step) return await this.#guarded.txn(step, options);
      return await this.#protocol.txn({ compare, success, failure }, options);
    } catch (error) {
      throw errorOfCall(() => `txn ${txnName({ compare, success, failure })}`, error, options.signal);
    }
  }
}

/** etcd counts every key of the range: the number would be that of another range. */
function checkCountable(options: IterateOptions): void {
  const bound = revisionBounds.find((name) => options[name] !== undefined);
  if (bound === undefined) return;
  const problem = "cannot go with countOnly, as etcd counts all keys of a range; read it with keysOnly and count those";
  throw new InvalidOptionError("range", bound, problem);
}
