import * as z from "zod/mini";
import { EtcdClient, InvalidOptionError } from "../../src/index.ts";
import { once, parseOptions, uniqueNumber } from "../../src/internal/index.ts";
import {
  checkKey,
  checkTtlSeconds,
  clientField,
  foreignFormatsField,
  healthFields,
  registrationFields,
  resolveHealth,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import { checkAddress, type ResolvedRegistration, resolveRegistration } from "../registration/internal.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";

/** Options of a ServiceRegister. All may be left out. */
export interface ServiceRegisterOptions extends RecipeClientOptions {
  /**
   * Anything that JSON can write as an object; readers get it as JSON writes it. Taken as it is at the call: what
   * happens to the object later changes nothing. Not with the plain format. @default none
   */
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Its share of the load, at least 0, compared with those of the others. Not with the plain format. @default 1 */
  weight?: number | undefined;
  /**
   * `plain`: the bare address. `endpoint`: the JSON of Go's `naming/endpoints`, which carries metadata, weight and
   * draining. `go-zero`: the bare address under `<key>/<number>`, where a number is put behind a key without one.
   * `kratos`, `kitex`: what those write. Or a codec. Fixed for the life of the object.
   *
   * @default "endpoint" with metadata or weight, else "plain"
   */
  format?: RegistrationFormat | undefined;
  /**
   * What to do when values of another format stand beside the key, at which a reader may give up its whole list. Looked
   * at once, at the beginning, among the first 100. `warn`: emits `warning`, with a ConflictError. `error`: looks
   * before it registers, and fails with that error. A role that may not read the folder is not asked for it. Without
   * `format`, values of kratos count: its readers give up their list at any other.
   *
   * @default "warn"
   */
  foreignFormats?: "warn" | "error" | "ignore" | undefined;
  /**
   * What the first registration does when another owner has the key. `replace`: takes it. `wait`: waits until it is
   * free. `error`: fails with a ConflictError. Later the key is taken only when it is missing or our own.
   *
   * @default "replace"
   */
  onConflict?: "replace" | "wait" | "error" | undefined;
  /**
   * `shared`: one lease for all registrations of this client that say so and have the same TTL: one renewal for all of
   * them, and they are lost, and come back, together. Each still leaves alone; the lease is revoked when the last one
   * leaves. One key can be there once. Not with options for a client of its own: it has no other registration to share
   * with.
   *
   * @default "own"
   */
  lease?: "own" | "shared" | undefined;
  /**
   * Says whether the service can serve. While it says false, throws or does not answer in time, the service is out of
   * the list (`passive`); it comes back by itself. What it throws is a `warning`, once for the same message. Also asked
   * before the first registration. Its `signal` aborts when its time is over and when the registration is closed.
   *
   * @default the service can always serve
   */
  health?: ((signal: AbortSignal) => Promise<boolean> | boolean) | undefined;
  /**
   * Seconds from one health check to the next, and the longest that one may take; at least 0.1. @default half the TTL
   */
  healthEverySeconds?: number | undefined;
}

const optionsSchema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      ...registrationFields(),
      foreignFormats: foreignFormatsField(),
      lease: z._default(z.enum(["own", "shared"], 'must be "own" or "shared"'), "own"),
      ...healthFields(),
    },
    "must be an object",
  ),
);

export interface ResolvedRegister extends ResolvedRegistration {
  readonly ttlSeconds: number;
  readonly foreignFormats: "warn" | "error" | "ignore";
  readonly lease: "own" | "shared";
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
  checkTtlSeconds(what, ttlSeconds);
  const given = parseOptions(what, optionsSchema, options);
  const { health, healthEverySeconds, client, lease, foreignFormats = "warn" } = given;
  if (lease === "shared" && client !== undefined && !(client instanceof EtcdClient)) {
    throw new InvalidOptionError(
      what,
      "lease",
      "cannot be shared: a client of its own has no other registration to share with; give an EtcdClient",
    );
  }
  const placed = given.format === "go-zero" ? goZeroKey(key) : key;
  const { registration, format, isChosen, onConflict } = resolveRegistration(what, { key: placed, address }, given);
  const { healthEveryMs } = resolveHealth(what, { health, healthEverySeconds }, ttlSeconds);
  // One by one: thousands may be made at once, and what is spread is copied by its names.
  return {
    key: placed,
    registration,
    format,
    onConflict,
    health,
    healthEveryMs,
    foreignFormats,
    isChosen,
    ttlSeconds,
    lease,
    client,
  };
}

/**
 * go-zero's key is that of the service and a number, which is its lease or what `WithId` says. A number of the
 * registration's own stays the same when the lease is lost, so that it comes back under the key that readers know.
 */
function goZeroKey(key: string): string {
  return /\/\d+$/.test(key) ? key : `${key}/${uniqueNumber()}`;
}
