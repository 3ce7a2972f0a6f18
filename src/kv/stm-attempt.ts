import { optionsOf } from "../errors/check-options.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { type BytesLike, toValue } from "../model/bytes.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type Compare, compareModRevision } from "../model/compare.ts";
import { toKey } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import { type LeaseRef, leaseRefCheck, toLeaseId } from "../model/lease-id.ts";
import type { DeleteOp, PutOp } from "../model/op.ts";
import type { Kv } from "./kv.ts";

/** What a transaction reads and writes. All of it stands, or none. */
export interface StmTransaction {
  /**
   * Reads one key: as this transaction has written it, else as it was at the one revision that all reads of this try
   * share.
   *
   * @returns undefined when there is no such key
   */
  get(key: BytesLike): Promise<StmValue | undefined>;
  /** Writes one key, when the transaction is committed. The last write of a key counts. */
  put(key: BytesLike, value: BytesLike, options?: { readonly lease?: LeaseRef | undefined }): void;
  /** Deletes one key, when the transaction is committed. */
  delete(key: BytesLike): void;
}

/** A value as a transaction sees it. */
export interface StmValue {
  readonly value: Uint8Array;
  /** The value as UTF-8. */
  readonly text: string;
}

interface Write {
  readonly value: Uint8Array | undefined;
  readonly op: PutOp | DeleteOp;
}

export type Attempted<Result> = { readonly committed: true; readonly result: Result } | { readonly committed: false };

const checkPut = optionsOf("stm put", { lease: leaseRefCheck });

/** One try of a transaction: what it has read, and what it will write. */
export class StmAttempt {
  readonly #kv: Kv;
  readonly #call: () => CallOptions;
  /** By the bytes of the key, each of them a letter. The reads under way are here, too: two of one key are one. */
  readonly #reads = new Map<string, Promise<KeyValue | undefined>>();
  readonly #found = new Map<string, { readonly key: Uint8Array; readonly modRevision: number }>();
  readonly #writes = new Map<string, Write>();
  /** The revision of all reads: that of the first one. */
  #revision: Promise<number> | undefined;
  #isOver = false;
  /** What its calls failed with: all else that it throws is of the work. */
  readonly failures = new Set<unknown>();
  /** Its writes are there, or on their way, or no answer came to them. */
  mayBeCommitted = false;
  #calls = 0;

  /** @param call what each call of this try has */
  constructor(kv: Kv, call: () => CallOptions) {
    this.#kv = kv;
    this.#call = call;
  }

  /** Whether a call of it is under way. */
  get isCalling(): boolean {
    return this.#calls > 0;
  }

  /** @returns whether it was committed: if not, something that was read has changed, and nothing was written */
  async run<Result>(work: (tx: StmTransaction) => Promise<Result> | Result): Promise<Attempted<Result>> {
    const tx: StmTransaction = {
      get: (key) => this.#get(key),
      put: (key, value, options) => {
        checkPut(options);
        this.#put(key, value, options?.lease);
      },
      delete: (key) => this.#delete(key),
    };
    try {
      const result = await work(tx);
      this.#isOver = true;
      return (await this.#commit()) ? { committed: true, result } : { committed: false };
    } catch (error) {
      this.#isOver = true;
      // The revision of its reads is compacted meanwhile: another try reads a newer one.
      if (error instanceof CompactedError && this.failures.has(error)) return { committed: false };
      throw error;
    }
  }

  async #get(given: BytesLike): Promise<StmValue | undefined> {
    this.#checkOpen();
    const { key, name } = keyOf(given);
    const written = this.#writes.get(name);
    if (written) return written.value && new OwnValue(written.value);
    let reading = this.#reads.get(name);
    if (!reading) {
      reading = this.#read(key, name);
      // One that is not awaited ends no process.
      reading.catch(() => {});
      this.#reads.set(name, reading);
    }
    return reading;
  }

  async #read(key: Uint8Array, name: string): Promise<KeyValue | undefined> {
    let kv: KeyValue | undefined;
    if (this.#revision) {
      const revision = await this.#revision;
      kv = await this.#called(this.#kv.get(key, { ...this.#call(), revision }));
    } else {
      // A range, for its answer says at which revision it was read.
      const reading = this.#called(this.#kv.range(key, this.#call()));
      this.#revision = reading.then(({ revision }) => revision);
      this.#revision.catch(() => {});
      [kv] = (await reading).kvs;
    }
    this.#found.set(name, { key, modRevision: kv?.modRevision ?? 0 });
    return kv;
  }

  #put(given: BytesLike, value: BytesLike, lease: LeaseRef | undefined): void {
    this.#checkOpen();
    const { key, name } = keyOf(given);
    // It leaves when the function has returned, and the caller may have other things in its buffer by then.
    const bytes = new Uint8Array(toValue("stm put", value));
    const on = lease === undefined ? undefined : toLeaseId("stm put", lease);
    this.#writes.set(name, { value: bytes, op: { type: "put", key, value: bytes, lease: on } });
  }

  #delete(given: BytesLike): void {
    this.#checkOpen();
    const { key, name } = keyOf(given);
    this.#writes.set(name, { value: undefined, op: { type: "delete", range: { start: key } } });
  }

  /** What was read at one revision is consistent by itself: only what writes has to be compared. */
  async #commit(): Promise<boolean> {
    if (this.#writes.size === 0) return true;
    const compare: Compare[] = [];
    for (const { key, modRevision } of this.#found.values())
      compare.push(compareModRevision(key, "equal", modRevision));
    const success = [...this.#writes.values()].map(({ op }) => op);
    this.mayBeCommitted = true;
    const { succeeded } = await this.#called(this.#kv.txn({ compare, success }, this.#call()));
    this.mayBeCommitted = succeeded;
    return succeeded;
  }

  async #called<Answer>(call: Promise<Answer>): Promise<Answer> {
    this.#calls++;
    try {
      return await call;
    } catch (error) {
      this.failures.add(error);
      throw error;
    } finally {
      this.#calls--;
    }
  }

  #checkOpen(): void {
    if (this.#isOver) throw new InvalidOptionError("stm", "tx", "must not be used after the function has returned");
  }
}

/** A value that this transaction has written itself. */
class OwnValue implements StmValue {
  readonly value: Uint8Array;
  #text: string | undefined;

  constructor(value: Uint8Array) {
    this.value = value;
  }

  get text(): string {
    this.#text ??= Buffer.from(this.value).toString("utf8");
    return this.#text;
  }
}

function keyOf(given: BytesLike): { readonly key: Uint8Array; readonly name: string } {
  const key = new Uint8Array(toKey("stm", given));
  return { key, name: Buffer.from(key).toString("latin1") };
}
