import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import { once } from "../../src/internal/index.ts";
import { inEnglish } from "../option-schemas/index.ts";
import type { MetadataSchema, SchemaResult } from "../subscribe-service/index.ts";

/** What a node writes beside its address. Both times are milliseconds since the epoch, by the node's clock. */
export interface NodeMetadata<Info = unknown> {
  readonly info: Info;
  readonly upSince: number;
  readonly changedAt: number;
}

const schema = once(() =>
  z.object({
    /** JSON leaves out one that is undefined. */
    info: z.optional(z.unknown()),
    upSince: z.number("must be a number"),
    changedAt: z.number("must be a number"),
  }),
);

/** Reads what a node wrote; its `info` by the user's schema, if there is one. */
export function nodeSchema<Info>(info: MetadataSchema<Info> | undefined): MetadataSchema<NodeMetadata<Info>> {
  const validate = (value: unknown): SchemaResult<NodeMetadata<Info>> => {
    const read = schema().safeParse(value, inEnglish());
    if (!read.success) return { issues: read.error.issues };
    if (!info) return { value: read.data as NodeMetadata<Info> };
    const result = validateInfo(info, read.data.info);
    if (result.issues) {
      return { issues: result.issues.map(({ message, path = [] }) => ({ message, path: ["info", ...path] })) };
    }
    return { value: { ...read.data, info: result.value } };
  };
  return { "~standard": { version: 1, vendor: "etcd-recipes", validate } };
}

/** @throws InvalidOptionError for a schema that answers with a promise: a list cannot wait for one node */
export function validateInfo<Info>(info: MetadataSchema<Info>, value: unknown): SchemaResult<Info> {
  const result = info["~standard"].validate(value);
  if (!(result instanceof Promise)) return result;
  // It is not awaited, so a rejection must not become an unhandled one.
  result.catch(() => {});
  throw new InvalidOptionError(
    "ClusterMonitor",
    "info",
    "must be a synchronous schema; this one answers with a promise",
  );
}
