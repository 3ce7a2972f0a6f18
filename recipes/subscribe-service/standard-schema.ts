import { InvalidOptionError } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";

/**
 * What we need of a Standard Schema (standardschema.dev, v1): zod, valibot, arktype and others provide it. Written out
 * here so that no schema library stands in our types.
 */
export interface MetadataSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

/** @throws InvalidOptionError unless it is a Standard Schema, and for one that shows at once that it is asynchronous */
export function checkMetadataSchema(what: string, schema: unknown): asserts schema is MetadataSchema {
  const standard = (schema as Partial<MetadataSchema> | null)?.["~standard"];
  if (typeof standard?.validate !== "function") {
    const allowed = "a Standard Schema, such as one of zod, valibot or arktype";
    throw new InvalidOptionError(what, "metadata", `must be ${allowed}, not ${shown(schema)}`);
  }
  if (isPromise(tryOut(schema as MetadataSchema))) throw asynchronous(what);
}

/** A schema may throw at what no instance has. */
function tryOut(schema: MetadataSchema): unknown {
  try {
    return schema["~standard"].validate(undefined);
  } catch {
    return undefined;
  }
}

/**
 * @throws InvalidValueError that names the first field which the schema rejects, without its value
 * @throws InvalidOptionError for a schema that answers with a promise: a list cannot wait for one instance
 */
export function validateMetadata<Output>(schema: MetadataSchema<Output>, metadata: unknown): Output {
  const result = schema["~standard"].validate(metadata);
  if (isPromise(result)) throw asynchronous("SubscribeService");
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  const path = (issue?.path ?? []).map((step) =>
    String(typeof step === "object" && step !== null && "key" in step ? step.key : step),
  );
  throw new InvalidValueError(
    `the schema rejects the metadata${path.length > 0 ? ` at ${path.join(".")}` : ""}: ${issue?.message ?? "no reason given"}`,
  );
}

/** It is not awaited, so a rejection must not become an unhandled one. */
function isPromise<T>(result: T | Promise<T>): result is Promise<T> {
  if (!(result instanceof Promise)) return false;
  result.catch(() => {});
  return true;
}

function asynchronous(what: string): InvalidOptionError {
  return new InvalidOptionError(what, "metadata", "must be a synchronous schema; this one answers with a promise");
}
