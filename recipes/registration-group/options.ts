import * as z from "zod/mini";
import { once, parseOptions } from "../../src/internal/index.ts";
import {
  checkId,
  checkKey,
  checkTtlSeconds,
  clientField,
  delimitedPrefix,
  foreignFormatsField,
  registrationFields,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import { checkAddress, type ResolvedRegistration, resolveRegistration } from "../registration/internal.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";

/** Options of a RegistrationGroup. All may be left out. */
export interface RegistrationGroupOptions extends RecipeClientOptions {
  /**
   * What the first registration of an instance does when another process has its key, unless the instance says
   * otherwise; as of a ServiceRegister.
   *
   * @default "replace"
   */
  onConflict?: "replace" | "wait" | "error" | undefined;
  /**
   * What to do when values of another format stand beside an instance, at which a reader may give up its whole list.
   * Looked at when an instance is registered, among the first 100 in its folder and below. `warn`: emits `warning`,
   * with a ConflictError; of instances of one folder and format that follow each other, the first is looked at.
   * `error`: looks at each before it is registered, and it fails with this error; while etcd is away, or refuses to
   * let the prefix be read, it waits. For an instance without `format`, values of kratos count: its readers give up
   * their list at any other.
   *
   * @default "warn"
   */
  foreignFormats?: "warn" | "error" | "ignore" | undefined;
}

/** Options of one instance of a RegistrationGroup, as those of a ServiceRegister. All may be left out. */
export interface GroupMemberOptions {
  /** Anything that JSON can write as an object. Not with the plain format. @default none */
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Its share of the load, at least 0. Not with the plain format. @default 1 */
  weight?: number | undefined;
  /**
   * `plain`: the bare address. `endpoint`: the JSON of Go's `naming/endpoints`. `go-zero`, `kratos`, `kitex`: what
   * those write; the id is the end of the key, which go-zero reads whatever it is. Or a codec.
   *
   * @default "endpoint" with metadata or weight, else "plain"
   */
  format?: RegistrationFormat | undefined;
  /** What the first registration does when another owner has the key. @default that of the group */
  onConflict?: "replace" | "wait" | "error" | undefined;
}

const groupSchema = once(() =>
  z.strictObject(
    { client: clientField(), onConflict: registrationFields().onConflict, foreignFormats: foreignFormatsField() },
    "must be an object",
  ),
);
const memberSchema = once(() => z.strictObject(registrationFields(), "must be an object"));

export interface ResolvedGroup {
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly onConflict: "replace" | "wait" | "error" | undefined;
  readonly foreignFormats: "warn" | "error" | "ignore";
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveGroup(prefix: unknown, ttlSeconds: unknown, options: unknown): ResolvedGroup {
  const what = "RegistrationGroup";
  const delimited = delimitedPrefix(what, prefix);
  checkTtlSeconds(what, ttlSeconds);
  const { onConflict, foreignFormats = "warn", client } = parseOptions(what, groupSchema, options);
  return { prefix: delimited, ttlSeconds, onConflict, foreignFormats, client };
}

export interface ResolvedMember extends ResolvedRegistration {
  readonly id: string;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveMember(group: ResolvedGroup, id: unknown, address: unknown, options: unknown): ResolvedMember {
  const what = "RegistrationGroup.register";
  checkId(what, id);
  const key = group.prefix + id;
  checkKey(what, key);
  checkAddress(what, address);
  const given = parseOptions(what, memberSchema, options);
  return { ...resolveRegistration(what, { key, address }, { onConflict: group.onConflict, ...defined(given) }), id };
}

/** What is there and undefined counts as left out. */
function defined<Given extends object>(given: Given): Given {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Given;
}
