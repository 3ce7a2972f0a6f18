import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { InvalidValueError } from "../errors/invalid-value-error.ts";
import { shown } from "../errors/shown.ts";

/**
 * What we need of a Standard Schema (standardschema.dev, v1): zod, valibot, arktype and others provide it. Written out
 * here so that no schema library stands in our types.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] };

/** Where a schema was given, for errors: `SubscribeService`, `metadata`. */
export interface SchemaPlace {
  readonly what: string;
  readonly option: string;
}

/** @throws InvalidOptionError unless it is a Standard Schema, and for one that shows at once that it is asynchronous */
export function checkSchema({ what, option }: SchemaPlace, schema: unknown): asserts schema is StandardSchema {
  const standard = (schema as Partial<StandardSchema> | null | undefined)?.["~standard"];
  if (typeof standard?.validate !== "function") {
    const allowed = "a Standard Schema, such as one of zod, valibot or arktype";
    throw new InvalidOptionError(what, option, `must be ${allowed}, not ${shown(schema)}`);
  }
  if (isPromise(tryOut(schema as StandardSchema))) throw asynchronous({ what, option });
}

/** A schema may throw at what no value is. */
function tryOut(schema: StandardSchema): unknown {
  try {
    return schema["~standard"].validate(undefined);
  } catch {
    return undefined;
  }
}

/**
 * @param noun what is validated, for the message: `the metadata`
 * @throws InvalidValueError that names the first field which the schema rejects, without its value
 * @throws InvalidOptionError for a schema that answers with a promise: nothing can wait for one value
 */
export function validateBySchema<Output>(
  schema: StandardSchema<unknown, Output>,
  value: unknown,
  place: SchemaPlace,
  noun: string,
): Output {
  const result = schema["~standard"].validate(value);
  if (isPromise(result)) throw asynchronous(place);
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  const path = (issue?.path ?? []).map((step) =>
    String(typeof step === "object" && step !== null && "key" in step ? step.key : step),
  );
  const where = path.length > 0 ? ` at ${path.join(".")}` : "";
  throw new InvalidValueError(`the schema rejects ${noun}${where}: ${issue?.message ?? "no reason given"}`);
}

/** It is not awaited, so a rejection must not become an unhandled one. */
function isPromise<T>(result: T | Promise<T>): result is Promise<T> {
  if (!(result instanceof Promise)) return false;
  result.catch(() => {});
  return true;
}

function asynchronous({ what, option }: SchemaPlace): InvalidOptionError {
  return new InvalidOptionError(what, option, "must be a synchronous schema; this one answers with a promise");
}
