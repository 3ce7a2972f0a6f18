import { z } from "zod";
import { InvalidOptionError } from "../../src/index.ts";
import { parseOptions } from "../../src/internal/index.ts";
import { asError, checkKey, checkTtlSeconds, type RecipeClientOptions } from "../common/index.ts";
import { clientField, healthFields, resolveHealth } from "../option-fields/index.ts";
import {
  DEFAULT_WEIGHT,
  decodeRegistration,
  InvalidValueError,
  type Registration,
  type RegistrationFormat,
  reservedNames,
} from "../registration-format/index.ts";

/** Options of a ServiceRegister. All may be left out. */
export interface ServiceRegisterOptions extends RecipeClientOptions {
  /**
   * Anything that JSON can write as an object; readers get it as JSON writes it. Taken as it is at the call: what happens to
   * the object later changes nothing. Not with the plain format. @default none
   */
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Its share of the load, at least 0, compared with those of the others. Not with the plain format. @default 1 */
  weight?: number | undefined;
  /**
   * `plain`: the bare address. `endpoint`: the JSON of Go's `naming/endpoints`, which carries metadata, weight and
   * draining. Fixed for the life of the object.
   *
   * @default "endpoint" with metadata or weight, else "plain"
   */
  format?: RegistrationFormat | undefined;
  /**
   * What the first registration does when somebody else has the key. `replace`: takes it. `wait`: waits until it is free.
   * `error`: fails with a ConflictError. Later the key is taken only when it is missing or our own.
   *
   * @default "replace"
   */
  onConflict?: "replace" | "wait" | "error" | undefined;
  /**
   * Says whether the service can serve. While it says false, throws or does not answer in time, the service is out of the
   * list (`passive`); it comes back by itself. What it throws is a `warning`, once for the same message. Also asked before
   * the first registration. Its `signal` aborts when its time is over and when the registration is closed.
   *
   * @default the service can always serve
   */
  health?: ((signal: AbortSignal) => Promise<boolean> | boolean) | undefined;
  /** Seconds from one health check to the next, and the longest that one may take; at least 0.1. @default half the TTL */
  healthEverySeconds?: number | undefined;
}

/** What `update()` can change; what is left out stays as it is. A plain registration has nothing but the address. */
export interface ServiceUpdate {
  address?: string | undefined;
  /** In the place of all that was there before. */
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** At least 0. */
  weight?: number | undefined;
  /** Whether it is about to leave: still in the list, but not to be chosen. */
  draining?: boolean | undefined;
}

const weightSchema = z
  .number("must be a number")
  .min(0, "must be at least 0")
  .max(Number.MAX_SAFE_INTEGER, "must be finite");
const metadataSchema = z.record(z.string(), z.unknown(), "must be a plain object");
const addressSchema = z.string("must be a string").min(1, "must not be empty");

const optionsSchema = z.strictObject(
  {
    client: clientField,
    metadata: metadataSchema.optional(),
    weight: weightSchema.optional(),
    format: z.enum(["plain", "endpoint"], 'must be "plain" or "endpoint"').optional(),
    onConflict: z.enum(["replace", "wait", "error"], 'must be "replace", "wait" or "error"').default("replace"),
    ...healthFields,
  },
  "must be an object",
);

const updateSchema = z.strictObject(
  {
    address: addressSchema.optional(),
    metadata: metadataSchema.optional(),
    weight: weightSchema.optional(),
    draining: z.boolean("must be true or false").optional(),
  },
  "must be an object",
);

export interface ResolvedRegister {
  readonly key: string;
  readonly ttlSeconds: number;
  readonly registration: Registration;
  readonly format: RegistrationFormat;
  readonly onConflict: "replace" | "wait" | "error";
  readonly health: NonNullable<ServiceRegisterOptions["health"]> | undefined;
  readonly healthEveryMs: number;
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveRegister(
  key: unknown,
  address: unknown,
  ttlSeconds: unknown,
  options: unknown,
): ResolvedRegister {
  const what = "ServiceRegister";
  checkKey(what, key);
  checkAddress(what, address);
  checkTtlSeconds(what, ttlSeconds, "ttl");
  const { weight, format, onConflict, health, healthEverySeconds, client, ...given } = parseOptions(
    what,
    optionsSchema,
    options ?? {},
  );
  const metadata = asJson(what, given.metadata);
  const asked = resolveHealth(what, { health, healthEverySeconds }, ttlSeconds);
  const carries = metadata !== undefined || weight !== undefined;
  if (format === "plain" && carries) {
    const option = metadata !== undefined ? "metadata" : "weight";
    throw new InvalidOptionError(
      what,
      option,
      'cannot be carried by the format "plain"; leave the format out, or say "endpoint"',
    );
  }
  if (!carries && format !== "endpoint") checkPlain(what, address);
  return {
    key,
    ttlSeconds,
    registration: { address, weight: weight ?? DEFAULT_WEIGHT, draining: false, metadata },
    format: format ?? (carries ? "endpoint" : "plain"),
    onConflict,
    ...asked,
    client,
  };
}

/** @throws InvalidOptionError that names the field, also for what the format cannot carry */
export function resolveUpdate(format: RegistrationFormat, update: unknown): ServiceUpdate {
  const what = "ServiceRegister.update";
  const parsed = parseOptions(what, updateSchema, update);
  if (parsed.address !== undefined) checkAddress(what, parsed.address);
  if (parsed.address !== undefined && format === "plain") checkPlain(what, parsed.address);
  const carried = (["weight", "draining", "metadata"] as const).find((name) => parsed[name] !== undefined);
  if (format === "plain" && carried) {
    throw new InvalidOptionError(
      what,
      carried,
      'cannot be carried by the format "plain"; construct with { format: "endpoint" }',
    );
  }
  return { ...parsed, metadata: asJson(what, parsed.metadata) };
}

export interface CloseOptions {
  /** How long the service stays up, marked as draining (endpoint) or already deleted (plain), in milliseconds. @default 0 */
  drainMs?: number | undefined;
}

const closeSchema = z.strictObject(
  {
    drainMs: z
      .number("must be a number of milliseconds")
      .min(0, "must be at least 0")
      .max(2 ** 31 - 1, "must be below 2^31 ms")
      .default(0),
  },
  "must be an object",
);

/** @throws InvalidOptionError */
export function resolveClose(options: unknown): { drainMs: number } {
  return parseOptions("ServiceRegister.close", closeSchema, options ?? {});
}

function checkAddress(what: string, address: unknown): asserts address is string {
  if (typeof address !== "string")
    throw new InvalidOptionError(what, "address", `must be a string, not ${typeof address}`);
  if (address.trim() === "") throw new InvalidOptionError(what, "address", "must not be empty");
  if (/[\s\p{C}]/u.test(address))
    throw new InvalidOptionError(what, "address", "must not have white space or control characters in it");
}

/** What a plain registration says must be read back as an address, and not be taken for something else. */
function checkPlain(what: string, address: string): void {
  try {
    decodeRegistration(address);
  } catch (error) {
    if (!(error instanceof InvalidValueError)) throw error;
    throw new InvalidOptionError(
      what,
      "address",
      `cannot be read back from the format "plain", which is for one address such as 10.0.0.1:8080; say { format: "endpoint" }`,
    );
  }
}

/** A copy as readers will get it. */
function asJson<Metadata extends Readonly<Record<string, unknown>>>(
  what: string,
  metadata: Metadata | undefined,
): Metadata | undefined {
  if (metadata === undefined) return undefined;
  for (const name of Object.values(reservedNames)) {
    if (name in metadata)
      throw new InvalidOptionError(
        what,
        "metadata",
        `must not have ${JSON.stringify(name)} in it: that name is reserved`,
      );
  }
  try {
    return JSON.parse(JSON.stringify(metadata));
  } catch (cause) {
    const [why] = asError(cause).message.split("\n");
    throw new InvalidOptionError(what, "metadata", `cannot be written as JSON: ${why}`);
  }
}
