import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import { asError, checkSchema, once, parseOptions } from "../../src/internal/index.ts";
import { checkId, checkTtlSeconds, clientField, delimitedPrefix } from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import { checkAddress } from "../registration/internal.ts";
import type { RegistrationCodec } from "../registration-format/index.ts";
import { carries, checkFormat, codecOf } from "../registration-format/internal.ts";
import type { MetadataSchema } from "../subscribe-service/index.ts";
import { validateInfo } from "./node-metadata.ts";

/** Options of a ClusterMonitor. All may be left out. */
export interface ClusterMonitorOptions<Info = unknown> extends RecipeClientOptions {
  /**
   * How long a node that joined here is listed after its process died, in whole seconds, 1 to 9000000000.
   *
   * @default 30
   */
  ttlSeconds?: number | undefined;
  /**
   * What the info of a node must be: any Standard Schema (zod, valibot, arktype), a synchronous one, which takes what
   * it returns. A node that it rejects is kept out and reported as `invalid`. @default none: info is what JSON said
   */
  info?: MetadataSchema<Info> | undefined;
  /**
   * How nodes are written and read: `endpoint`, or a codec that carries metadata. The other formats have no room for
   * the info of a node. @default "endpoint"; read is every format that is known by name
   */
  format?: "endpoint" | RegistrationCodec | undefined;
}

const schema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      ttlSeconds: z.optional(z.unknown()),
      info: z.optional(z.unknown()),
      format: z.optional(z.unknown()),
    },
    "must be an object",
  ),
);

export interface ResolvedMonitor<Info> {
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly info: MetadataSchema<Info> | undefined;
  readonly format: "endpoint" | RegistrationCodec | undefined;
  readonly client: RecipeClientOptions["client"];
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveMonitor<Info>(prefix: unknown, options: unknown): ResolvedMonitor<Info> {
  const what = "ClusterMonitor";
  const { ttlSeconds = 30, info, format, client } = parseOptions(what, schema, options);
  checkTtlSeconds(what, ttlSeconds);
  if (info !== undefined) checkSchema({ what, option: "info" }, info);
  if (format !== undefined) checkNodeFormat(what, format);
  return {
    prefix: delimitedPrefix(what, prefix),
    ttlSeconds,
    info: info as MetadataSchema<Info> | undefined,
    format,
    client,
  };
}

function checkNodeFormat(what: string, format: unknown): asserts format is "endpoint" | RegistrationCodec {
  checkFormat(what, format);
  if (format === "endpoint" || (typeof format === "object" && carries(format, "metadata"))) return;
  const { name } = codecOf(format);
  const hint = `must have room for the info of a node, which ${JSON.stringify(name)} has not; say "endpoint"`;
  throw new InvalidOptionError(what, "format", hint);
}

/** @throws InvalidOptionError unless it can stand as one name behind the prefix */
export function checkNodeName(name: unknown): asserts name is string {
  const what = "ClusterMonitor.join";
  checkId(what, name, "name");
  if (name.endsWith("/")) throw new InvalidOptionError(what, "name", "must not end with a slash");
  if (/[\s\p{C}\ufffd]/u.test(name)) {
    throw new InvalidOptionError(what, "name", "must not have white space or control characters in it");
  }
}

/**
 * @returns a copy as readers will get it
 * @throws InvalidOptionError for an info that JSON cannot write, that the schema rejects, or whose address is none
 */
export function checkInfo<Info>(what: string, schema: MetadataSchema<Info> | undefined, info: Info): Info {
  const written = asJson(what, info);
  const issue = schema && validateInfo(schema, written).issues?.[0];
  if (issue) throw new InvalidOptionError(what, "info", `is rejected by the schema: ${issue.message}`);
  const address = addressIn(written);
  if (address !== undefined) checkAddress(what, address);
  return written as Info;
}

/** The address under which a node is listed is its own info's, if that has one. */
export function addressIn(info: unknown): string | undefined {
  const { address } = (info ?? {}) as { address?: unknown };
  return typeof address === "string" ? address : undefined;
}

function asJson(what: string, info: unknown): unknown {
  if (info instanceof Promise)
    throw new InvalidOptionError(what, "info", "must be JSON, not a Promise: await it first");
  try {
    const text = JSON.stringify(info);
    return text === undefined ? undefined : JSON.parse(text);
  } catch (cause) {
    const [why] = asError(cause).message.split("\n");
    throw new InvalidOptionError(what, "info", `cannot be written as JSON: ${why}`);
  }
}
