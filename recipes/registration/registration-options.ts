import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import { asError, checkPlainObject, once, parseOptions, shown } from "../../src/internal/index.ts";
import { callFields, delayAtLeast0, registrationFields } from "../option-schemas/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import {
  carries,
  checkFormat,
  codecOf,
  type OwnRegistration,
  reservedNames,
  toWrite,
  unfitText,
} from "../registration-format/internal.ts";

/**
 * What `update()` can change; what is left out stays as it is. A plain registration has nothing but the address, and
 * what its format cannot carry is refused.
 */
export interface ServiceUpdate {
  address?: string | undefined;
  /** In the place of all that was there before. */
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** At least 0. */
  weight?: number | undefined;
  /** Whether it is about to leave: still in the list, but not to be chosen. */
  draining?: boolean | undefined;
}

const updateSchema = once(() =>
  z.strictObject(
    {
      address: z.optional(z.string("must be a string").check(z.minLength(1, "must not be empty"))),
      metadata: registrationFields().metadata,
      weight: registrationFields().weight,
      draining: z.optional(z.boolean("must be true or false")),
    },
    "must be an object",
  ),
);

export interface ResolvedRegistration {
  readonly key: string;
  readonly registration: OwnRegistration;
  readonly format: RegistrationFormat;
  /** Whether the user chose the format. */
  readonly isChosen: boolean;
  readonly onConflict: "replace" | "wait" | "error";
}

/** @throws InvalidOptionError that names the option, also for what the format cannot carry */
export function resolveRegistration(
  what: string,
  { key, address }: { readonly key: string; readonly address: string },
  given: {
    readonly metadata?: Readonly<Record<string, unknown>> | undefined;
    readonly weight?: number | undefined;
    readonly format?: unknown;
    readonly onConflict?: "replace" | "wait" | "error" | undefined;
  },
): ResolvedRegistration {
  const { weight, onConflict = "replace" } = given;
  const metadata = asJson(what, given.metadata);
  const { format = metadata === undefined && weight === undefined ? "plain" : "endpoint" } = given;
  checkFormat(what, format);
  checkCarried(what, format, { metadata, weight }, 'leave the format out, or say "endpoint"');
  const registration = { address, weight, draining: false, metadata };
  checkWritten(what, format, registration, key);
  return { key, registration, format, isChosen: given.format !== undefined, onConflict };
}

/**
 * @param now what it would be an update of, and where that stands
 * @throws InvalidOptionError that names the field, also for what the format cannot carry
 */
export function resolveUpdate(
  owner: string,
  format: RegistrationFormat,
  update: unknown,
  now: { readonly key: string; readonly registration: OwnRegistration },
): ServiceUpdate {
  const what = `${owner}.update`;
  checkPlainObject(what, "options", update);
  const parsed = parseOptions(what, updateSchema, update);
  if (parsed.address !== undefined) checkAddress(what, parsed.address);
  checkCarried(what, format, parsed, 'construct with { format: "endpoint" }');
  const resolved = { ...parsed, metadata: asJson(what, parsed.metadata) };
  const changes = Object.fromEntries(Object.entries(resolved).filter(([, value]) => value !== undefined));
  checkWritten(what, format, { ...now.registration, ...changes }, now.key);
  return changes;
}

const waitSchema = once(() => z.strictObject({ signal: callFields().signal }, "must be an object"));

/** @throws InvalidOptionError that names the option of an update */
export function resolveWait(owner: string, options: unknown): { signal?: AbortSignal | undefined } {
  return parseOptions(`${owner}.update`, waitSchema, options);
}

export interface CloseOptions {
  /**
   * How long the service stays up, marked as draining (endpoint) or already deleted (plain), in milliseconds. @default
   * 0
   */
  drainMs?: number | undefined;
}

const closeSchema = once(() =>
  z.strictObject(
    {
      drainMs: z._default(delayAtLeast0(), 0),
    },
    "must be an object",
  ),
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

function checkCarried(what: string, format: RegistrationFormat, given: ServiceUpdate, instead: string): void {
  const uncarried = (["metadata", "weight", "draining"] as const).find(
    (name) => given[name] !== undefined && !carries(format, name),
  );
  if (!uncarried) return;
  const hint = `cannot be carried by the format "${codecOf(format).name}"; ${instead}`;
  throw new InvalidOptionError(what, uncarried, hint);
}

/** What is written must be what a reader of the format takes. */
function checkWritten(what: string, format: RegistrationFormat, registration: OwnRegistration, key: string): void {
  const codec = codecOf(format);
  const written = toWrite(registration, key);
  const unfit = codec.check?.(written);
  if (unfit) throw new InvalidOptionError(what, unfit.option, unfit.message);
  if (typeof format === "string") return;
  // It is marked as draining when it closes, and no caller is there to be refused.
  const each = carries(format, "draining") ? [written, { ...written, draining: true }] : [written];
  for (const one of each) {
    const text = encoded(what, format, () => codec.encode(one));
    const unfitAsText = unfitText(codec, text);
    if (unfitAsText !== undefined) throw new InvalidOptionError(what, "format", unfitAsText);
  }
}

function encoded(what: string, { name }: { readonly name: string }, encode: () => unknown): unknown {
  try {
    return encode();
  } catch (error) {
    const [why] = asError(error).message.split("\n");
    throw new InvalidOptionError(what, "format", `cannot write this registration: ${name}: ${why}`);
  }
}

/** A copy as readers will get it: a `toJSON()` may have made something else of it. */
function asJson(what: string, metadata: object | undefined): Record<string, unknown> | undefined {
  if (metadata === undefined) return undefined;
  const copy = jsonCopy(what, metadata);
  checkPlainObject(what, "metadata", copy, "an object when it is written as JSON");
  const reserved = Object.values(reservedNames).find((name) => name in copy);
  if (reserved === undefined) return copy;
  const hint = `must not have ${JSON.stringify(reserved)} in it: that name is reserved`;
  throw new InvalidOptionError(what, "metadata", hint);
}

function jsonCopy(what: string, metadata: object): unknown {
  try {
    return JSON.parse(JSON.stringify(metadata));
  } catch (cause) {
    const [why] = asError(cause).message.split("\n");
    throw new InvalidOptionError(what, "metadata", `cannot be written as JSON: ${why}`);
  }
}
