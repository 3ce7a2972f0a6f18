import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { showAs } from "../internal/show-as.ts";
import type { StandardSchema } from "../internal/standard-schema.ts";
import type { PagedRange, PutOptions, RangeOptions, ReadOptions } from "../kv/index.ts";
import type { BytesLike } from "../model/bytes.ts";
import type { KeyOrRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { Mirror, MirrorOptions, Watch, WatchOptions } from "../watch/index.ts";
import { JsonValues } from "./json-values.ts";
import { type InvalidKeyValue, isInvalid, type TypedKeyValue } from "./typed-key-value.ts";
import { SchemaMirror, splitReads, type TypedMirror } from "./typed-mirror.ts";
import { SchemaWatch, type TypedWatch } from "./typed-watch.ts";

/** The calls of a client that values by a schema are read and written with. */
export interface UntypedCalls {
  get(key: BytesLike, options?: ReadOptions): Promise<KeyValue | undefined>;
  put(key: BytesLike, value: BytesLike, options?: PutOptions): Promise<{ revision: number; previous?: KeyValue }>;
  range(range: KeyOrRange, options?: RangeOptions): Promise<PagedRange>;
  watch(range: KeyOrRange, options?: WatchOptions): Watch;
  mirror(range: KeyOrRange, options?: MirrorOptions): Mirror;
}

export type TypedPutOptions = Omit<PutOptions, "ignoreValue">;
export type TypedRangeOptions = Omit<RangeOptions, "keysOnly" | "countOnly">;

export interface TypedRange<Value> extends Omit<PagedRange, "kvs"> {
  readonly kvs: readonly TypedKeyValue<Value>[];
  /** The keys whose values are no JSON, or rejected by the schema. */
  readonly invalid: readonly InvalidKeyValue[];
}

/**
 * The keys of a client with values that are JSON and valid by a schema. It has the calls, the guarantees and the end of
 * its client, and nothing of its own to close.
 *
 * Guaranteed: what `put()` writes is read back as valid by the same schema; an invalid value in etcd is reported, and
 * ends neither a list, nor a watch, nor a mirror. Not guaranteed: that others write what the schema takes.
 */
export class TypedClient<Input, Value> {
  static {
    showAs(TypedClient, "TypedClient", (it) => ({ client: it.#calls }));
  }

  readonly #calls: UntypedCalls;
  readonly #values: JsonValues<Input, Value>;

  /** @throws InvalidOptionError for what is no Standard Schema, or an asynchronous one */
  constructor(calls: UntypedCalls, schema: StandardSchema<Input, Value>) {
    this.#calls = calls;
    this.#values = new JsonValues(schema);
  }

  /**
   * Reads one key.
   *
   * @returns undefined when there is no such key
   * @throws InvalidValueError for a value that is no JSON, or rejected by the schema; what `EtcdClient.get()` throws
   */
  async get(key: BytesLike, options?: ReadOptions): Promise<TypedKeyValue<Value> | undefined> {
    const kv = await this.#calls.get(key, options);
    const read = kv && this.#values.read(kv);
    if (read && isInvalid(read)) throw errorOfCall(() => `get ${JSON.stringify(read.key)}`, read.error, undefined);
    return read;
  }

  /**
   * Writes one key. What is written is `value` as JSON; the schema is asked whether it takes that, and nothing that it
   * makes of it is written: defaults and transformations happen when it is read.
   *
   * @returns `previous` if it was asked for, and what stood there is valid: without it the key can be new, or have had
   *   an invalid value
   * @throws InvalidOptionError for a value that the schema does not take: nothing was written; what `EtcdClient.put()`
   *   throws
   */
  async put(
    key: BytesLike,
    value: Input,
    options?: TypedPutOptions,
  ): Promise<{ revision: number; previous?: TypedKeyValue<Value> }> {
    refuse("put", options, ["ignoreValue"]);
    const put = await this.#calls.put(key, this.#values.write("put", value), options);
    const previous = put.previous && this.#values.read(put.previous);
    return { revision: put.revision, ...(previous && !isInvalid(previous) && { previous }) };
  }

  /** Reads a range, as `EtcdClient.range()`. */
  async range(range: KeyOrRange, options?: TypedRangeOptions): Promise<TypedRange<Value>> {
    refuse("range", options, ["keysOnly", "countOnly"]);
    const { kvs, ...read } = await this.#calls.range(range, options);
    const { puts, invalid } = splitReads(kvs, this.#values);
    return { ...read, kvs: puts, invalid };
  }

  /** Follows a key or a range, as `EtcdClient.watch()`. A value that is invalid comes as an event of its own type. */
  watch(range: KeyOrRange, options?: WatchOptions): TypedWatch<Value> {
    return new SchemaWatch(this.#calls.watch(range, options), this.#values);
  }

  /** Keeps a local copy of a range true, as `EtcdClient.mirror()`. Values are looked at when they are asked for. */
  mirror(range: KeyOrRange, options?: MirrorOptions): TypedMirror<Value> {
    return new SchemaMirror(this.#calls.mirror(range, options), this.#values);
  }
}

/** What makes no sense where values are read. */
function refuse(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) return;
  for (const name of names) {
    if ((options as Record<string, unknown>)[name] === undefined) continue;
    throw new InvalidOptionError(what, name, "cannot go with values by a schema; use the client itself");
  }
}
