import type { InvalidValueError } from "../errors/invalid-value-error.ts";
import { showAs } from "../internal/show-as.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { WatchBatch, WatchEvent } from "../model/watch-event.ts";
import type { Watch } from "../watch/index.ts";
import type { JsonValues } from "./json-values.ts";
import { isInvalid, type TypedKeyValue } from "./typed-key-value.ts";

/**
 * What happened to a key. `invalid`: it was put, with a value that is no JSON or that the schema rejects. `previous`,
 * if asked for, is left out where it was invalid.
 */
export type TypedWatchEvent<Value> =
  | { readonly type: "put"; readonly kv: TypedKeyValue<Value>; readonly previous?: TypedKeyValue<Value> }
  | {
      readonly type: "invalid";
      readonly kv: KeyValue;
      readonly error: InvalidValueError;
      readonly previous?: TypedKeyValue<Value>;
    }
  | { readonly type: "delete"; readonly kv: KeyValue; readonly previous?: TypedKeyValue<Value> };

export interface TypedWatchBatch<Value> extends Omit<WatchBatch, "events"> {
  readonly events: readonly TypedWatchEvent<Value>[];
}

/**
 * A Watch whose events have values by a schema. What holds for a Watch holds for it; an invalid value does not end it.
 */
export interface TypedWatch<Value> extends AsyncIterable<TypedWatchBatch<Value>>, AsyncDisposable {
  readonly ready: Promise<number>;
  close(): Promise<void>;
  /** @throws TypeError for a second reader */
  [Symbol.asyncIterator](): AsyncIterator<TypedWatchBatch<Value>, undefined>;
}

export class SchemaWatch<Input, Value> implements TypedWatch<Value> {
  static {
    showAs(SchemaWatch, "TypedWatch", (it) => ({ watch: it.#watch }));
  }

  readonly #watch: Watch;
  readonly #values: JsonValues<Input, Value>;

  constructor(watch: Watch, values: JsonValues<Input, Value>) {
    this.#watch = watch;
    this.#values = values;
  }

  get ready(): Promise<number> {
    return this.#watch.ready;
  }

  close(): Promise<void> {
    return this.#watch.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<TypedWatchBatch<Value>, undefined> {
    const batches = this.#watch[Symbol.asyncIterator]();
    return {
      next: async () => {
        const { done, value } = await batches.next();
        if (done) return { done, value: undefined };
        return { done: false, value: { ...value, events: value.events.map((event) => this.#event(event)) } };
      },
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  #event({ type, kv, previous: before }: WatchEvent): TypedWatchEvent<Value> {
    const read = before && this.#values.read(before);
    const previous = read && !isInvalid(read) ? { previous: read } : {};
    if (type === "delete") return { type, kv, ...previous };
    const now = this.#values.read(kv);
    if (isInvalid(now)) return { type: "invalid", kv, error: now.error, ...previous };
    return { type, kv: now, ...previous };
  }
}
