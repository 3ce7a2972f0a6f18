import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { InvalidValueError } from "../errors/invalid-value-error.ts";
import { unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { asError } from "../internal/as-error.ts";
import { checkSchema, type StandardSchema, validateBySchema } from "../internal/standard-schema.ts";
import { bytesEqual, toBytes } from "../model/bytes.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { InvalidKeyValue, TypedKeyValue } from "./typed-key-value.ts";

const place = { what: "typed", option: "schema" };

/** Values between the JSON that etcd holds and what a schema makes of it. */
export class JsonValues<Input, Output> {
  readonly #schema: StandardSchema<Input, Output>;
  /** What stays the same is read once, however often it is asked for. */
  readonly #read = new WeakMap<KeyValue, TypedKeyValue<Output> | InvalidKeyValue>();

  /** @throws InvalidOptionError for what is no Standard Schema, or an asynchronous one */
  constructor(schema: StandardSchema<Input, Output>) {
    checkSchema(place, schema);
    this.#schema = schema;
  }

  /** Never throws. */
  read(raw: KeyValue): TypedKeyValue<Output> | InvalidKeyValue {
    const known = this.#read.get(raw);
    if (known) return known;
    const read = this.#parsed(raw);
    this.#read.set(raw, read);
    return read;
  }

  /**
   * The JSON of a value that the schema takes as it will be read: what is written can be read.
   *
   * @throws InvalidOptionError
   */
  write(what: string, value: Input): string {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch {
      // A cycle, a bigint, a getter that throws: what it says may show the value.
    }
    if (text === undefined || value instanceof Promise) {
      throw new InvalidOptionError(
        what,
        "value",
        `must be what JSON can write, not ${shown(value)}${unawaited(value)}`,
      );
    }
    try {
      this.#validated(JSON.parse(text));
    } catch (error) {
      throw new InvalidOptionError(what, "value", `is not written: as JSON ${asError(error).message}`);
    }
    return text;
  }

  #parsed(raw: KeyValue): TypedKeyValue<Output> | InvalidKeyValue {
    const { key, createRevision, modRevision, version, lease } = raw;
    try {
      const value = this.#validated(parse(raw));
      return { key, value, createRevision, modRevision, version, ...(lease && { lease }), raw };
    } catch (cause) {
      const error =
        cause instanceof InvalidValueError
          ? cause
          : new InvalidValueError(`the schema failed: ${asError(cause).message}`, { cause });
      return { key, error, raw };
    }
  }

  #validated(json: unknown): Output {
    return validateBySchema(this.#schema, json, place, "the value");
  }
}

/** What JSON.parse says shows a part of the value. */
function parse({ text, value }: KeyValue): unknown {
  if (text.includes("\ufffd") && !bytesEqual(toBytes(text), value)) {
    throw new InvalidValueError("the value is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidValueError("the value is not JSON");
  }
}
