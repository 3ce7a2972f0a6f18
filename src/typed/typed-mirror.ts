import { showAs } from "../internal/show-as.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { Mirror, MirrorBatch, MirrorStatus } from "../watch/index.ts";
import type { JsonValues } from "./json-values.ts";
import { type InvalidKeyValue, isInvalid, type TypedKeyValue } from "./typed-key-value.ts";

/** One step of a mirrored range, as a `MirrorBatch`: a key that was put stands in `puts` or in `invalid`. */
export interface TypedMirrorBatch<Value> extends Pick<MirrorBatch, "type" | "revision" | "deletes"> {
  readonly puts: readonly TypedKeyValue<Value>[];
  /**
   * The keys that were put with a value that is no JSON or that the schema rejects: `entries` does not have them any
   * more.
   */
  readonly invalid: readonly InvalidKeyValue[];
}

/**
 * A Mirror whose entries have values by a schema. What holds for a Mirror holds for it; an invalid value does not end
 * it.
 */
export interface TypedMirror<Value> extends AsyncIterable<TypedMirrorBatch<Value>>, AsyncDisposable {
  readonly ready: Promise<void>;
  /** The entries with valid values, by key: a snapshot, made when it is first asked for after a change. */
  readonly entries: ReadonlyMap<string, TypedKeyValue<Value>>;
  /** The others, by key. */
  readonly invalid: ReadonlyMap<string, InvalidKeyValue>;
  readonly revision: number;
  readonly status: MirrorStatus;
  readonly staleForMs: number;
  /** One entry as it is now; undefined also for an invalid one. */
  get(key: string): TypedKeyValue<Value> | undefined;
  close(): Promise<void>;
  [Symbol.asyncIterator](): AsyncIterator<TypedMirrorBatch<Value>, undefined>;
}

interface Split<Value> {
  readonly of: ReadonlyMap<string, KeyValue>;
  readonly entries: ReadonlyMap<string, TypedKeyValue<Value>>;
  readonly invalid: ReadonlyMap<string, InvalidKeyValue>;
}

export class SchemaMirror<Input, Value> implements TypedMirror<Value> {
  static {
    showAs(SchemaMirror, "TypedMirror", (it) => ({ mirror: it.#mirror }));
  }

  readonly #mirror: Mirror;
  readonly #values: JsonValues<Input, Value>;
  #last: Split<Value> | undefined;

  constructor(mirror: Mirror, values: JsonValues<Input, Value>) {
    this.#mirror = mirror;
    this.#values = values;
  }

  get ready(): Promise<void> {
    return this.#mirror.ready;
  }

  get entries(): ReadonlyMap<string, TypedKeyValue<Value>> {
    return this.#split().entries;
  }

  get invalid(): ReadonlyMap<string, InvalidKeyValue> {
    return this.#split().invalid;
  }

  get revision(): number {
    return this.#mirror.revision;
  }

  get status(): MirrorStatus {
    return this.#mirror.status;
  }

  get staleForMs(): number {
    return this.#mirror.staleForMs;
  }

  get(key: string): TypedKeyValue<Value> | undefined {
    const kv = this.#mirror.get(key);
    const read = kv && this.#values.read(kv);
    return read && !isInvalid(read) ? read : undefined;
  }

  close(): Promise<void> {
    return this.#mirror.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<TypedMirrorBatch<Value>, undefined> {
    const batches = this.#mirror[Symbol.asyncIterator]();
    return {
      next: async () => {
        const { done, value } = await batches.next();
        return done ? { done, value: undefined } : { done: false, value: this.#batch(value) };
      },
      return: async () => {
        await batches.return?.();
        return { done: true, value: undefined };
      },
    };
  }

  #batch({ type, revision, puts, deletes }: MirrorBatch): TypedMirrorBatch<Value> {
    return { type, revision, ...splitReads(puts, this.#values), deletes };
  }

  #split(): Split<Value> {
    const of = this.#mirror.entries;
    if (this.#last?.of === of) return this.#last;
    const entries = new Map<string, TypedKeyValue<Value>>();
    const invalid = new Map<string, InvalidKeyValue>();
    for (const [name, kv] of of) {
      const read = this.#values.read(kv);
      if (isInvalid(read)) invalid.set(name, read);
      else entries.set(name, read);
    }
    this.#last = { of, entries, invalid };
    return this.#last;
  }
}

/** What can be read, and what cannot. */
export function splitReads<Input, Value>(
  kvs: readonly KeyValue[],
  values: JsonValues<Input, Value>,
): { readonly puts: TypedKeyValue<Value>[]; readonly invalid: InvalidKeyValue[] } {
  const puts: TypedKeyValue<Value>[] = [];
  const invalid: InvalidKeyValue[] = [];
  for (const kv of kvs) {
    const read = values.read(kv);
    if (isInvalid(read)) invalid.push(read);
    else puts.push(read);
  }
  return { puts, invalid };
}
