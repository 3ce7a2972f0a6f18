import { InvalidOptionError, type KeyValue } from "../../src/index.ts";
import { asError, log } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { decodeAs, decodeRegistration } from "../registration-format/internal.ts";
import type { ListChange } from "./list-change.ts";
import { type ServiceInstance, toInstance } from "./service-instance.ts";
import { type MetadataSchema, validateMetadata } from "./standard-schema.ts";

const debug = log("subscribe");

/** How instances are read by those who have no schema. */
const withoutSchema = {};

/** Reads what stands under a prefix as instances. */
export class InstanceReader<Metadata> {
  /** Which readers read an entry alike. */
  readonly how: object;
  readonly #prefix: string;
  readonly #schema: MetadataSchema<Metadata> | undefined;

  readonly #formats: readonly RegistrationFormat[] | undefined;

  /** @param formats those that are read; undefined: all that are known by name */
  constructor(
    prefix: string,
    schema: MetadataSchema<Metadata> | undefined,
    formats: readonly RegistrationFormat[] | undefined,
  ) {
    this.#prefix = prefix;
    this.#schema = schema;
    this.#formats = formats;
    this.how = formats ?? schema ?? withoutSchema;
  }

  /** @param made what readers that read alike have made of each entry */
  read(
    kv: KeyValue,
    made: WeakMap<KeyValue, unknown> | undefined,
  ): Extract<ListChange<Metadata>, { type: "put" | "invalid" }> {
    const known = made?.get(kv) as ServiceInstance<Metadata> | undefined;
    if (known) return { type: "put", instance: known };
    try {
      const instance = this.#toInstance(kv);
      made?.set(kv, instance);
      return { type: "put", instance };
    } catch (error) {
      // A schema that cannot be used at all is a mistake in the program, not in one value.
      if (error instanceof InvalidOptionError) throw error;
      debug("%s is kept out: %s", kv.key, (error as Error).message);
      return { type: "invalid", key: kv.key, error: asError(error) };
    }
  }

  /** @throws InvalidValueError that says why it cannot be read */
  #toInstance(kv: KeyValue): ServiceInstance<Metadata> {
    const id = kv.key.slice(this.#prefix.length);
    if (id === "") throw new InvalidValueError("the key is the prefix itself and names no instance");
    // Two such keys can read the same, and a text that is not the key finds nothing in etcd.
    if (kv.key.includes("\ufffd")) throw new InvalidValueError("the key is not UTF-8");
    const formats = this.#formats;
    const registration = formats ? decodeAs(formats, kv.text, kv.key) : decodeRegistration(kv.text);
    const schema = this.#schema;
    const metadata = schema ? validateMetadata(schema, registration.metadata) : (registration.metadata as Metadata);
    return toInstance(kv, id, registration, metadata);
  }
}
