import { checkSchema, type StandardSchema, validateBySchema } from "../../src/internal/index.ts";

export type { SchemaResult } from "../../src/internal/index.ts";

/** What the metadata of instances is read by. */
export type MetadataSchema<Output = unknown> = StandardSchema<unknown, Output>;

/** @throws InvalidOptionError unless it is a Standard Schema, and for one that shows at once that it is asynchronous */
export function checkMetadataSchema(what: string, schema: unknown): asserts schema is MetadataSchema {
  checkSchema({ what, option: "metadata" }, schema);
}

/**
 * @throws InvalidValueError that names the first field which the schema rejects, without its value
 * @throws InvalidOptionError for a schema that answers with a promise: a list cannot wait for one instance
 */
export function validateMetadata<Output>(schema: MetadataSchema<Output>, metadata: unknown): Output {
  return validateBySchema(schema, metadata, { what: "SubscribeService", option: "metadata" }, "the metadata");
}
