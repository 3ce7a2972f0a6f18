import { z } from "zod";
import { InvalidOptionError } from "../../src/index.ts";
import { asError, checkPlainObject, parseOptions, shown } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { callFields, delayAtLeast0, registrationFields } from "../option-schemas/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import {
  DEFAULT_WEIGHT,
  decodeRegistration,
  type Registration,
  reservedNames,
} from "../registration-format/internal.ts";

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

const updateSchema = z.strictObject(
  {
    address: z.string("must be a string").min(1, "must not be empty").optional(),
    metadata: registrationFields.metadata,
    weight: registrationFields.weight,
    draining: z.boolean("must be true or false").optional(),
  },
  "must be an object",
);

export interface ResolvedRegistration {
  readonly registration: Registration;
  readonly format: RegistrationFormat;
  readonly onConflict: "replace" | "wait" | "error";
}

/** @throws InvalidOptionError that names the option, also for what the format cannot carry */
export function resolveRegistration(
  what: string,
  address: string,
  given: {
    readonly metadata?: Readonly<Record<string, unknown>> | undefined;
    readonly weight?: number | undefined;
    readonly format?: RegistrationFormat | undefined;
    readonly onConflict?: "replace" | "wait" | "error" | undefined;
  },
): ResolvedRegistration {
  const { weight, format, onConflict = "replace" } = given;
  const metadata = asJson(what, given.metadata);
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
    registration: { address, weight: weight ?? DEFAULT_WEIGHT, draining: false, metadata },
    format: format ?? (carries ? "endpoint" : "plain"),
    onConflict,
  };
}

/** @throws InvalidOptionError that names the field, also for what the format cannot carry */
export function resolveUpdate(owner: string, format: RegistrationFormat, update: unknown): ServiceUpdate {
  const what = `${owner}.update`;
  checkPlainObject(what, "options", update);
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

const waitSchema = z.strictObject({ signal: callFields.signal }, "must be an object");

/** @throws InvalidOptionError that names the option of an update */
export function resolveWait(owner: string, options: unknown): { signal?: AbortSignal | undefined } {
  return parseOptions(`${owner}.update`, waitSchema, options);
}

export interface CloseOptions {
  /** How long the service stays up, marked as draining (endpoint) or already deleted (plain), in milliseconds. @default 0 */
  drainMs?: number | undefined;
}

const closeSchema = z.strictObject(
  {
    drainMs: delayAtLeast0.default(0),
  },
  "must be an object",
);

/** @throws InvalidOptionError */
export function resolveClose(what: string, options: unknown): { drainMs: number } {
  return parseOptions(what, closeSchema, options);
}

/** @throws InvalidOptionError */
export function checkAddress(what: string, address: unknown): asserts address is string {
  if (typeof address !== "string")
    throw new InvalidOptionError(what, "address", `must be a string, not ${shown(address)}`);
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
