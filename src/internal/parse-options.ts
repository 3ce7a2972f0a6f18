import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { closestName } from "./closest-name.ts";

/** What we need of a zod schema, in words of our own: users of the published types may have another zod, or none. */
export interface OptionsSchema<Resolved> {
  safeParse(
    input: unknown,
  ): { success: true; data: Resolved } | { success: false; error: { issues: readonly OptionsIssue[] } };
}

interface OptionsIssue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Of an `unrecognized_keys` issue. */
  readonly keys?: readonly string[] | undefined;
}

/**
 * Validates `input` with `schema` and returns the resolved options. No I/O.
 *
 * @throws InvalidOptionError that names the first bad option, and for an unknown one the nearest known name.
 */
export function parseOptions<Resolved>(what: string, schema: OptionsSchema<Resolved>, input: unknown): Resolved {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknownName = issue?.keys?.[0];
  if (issue?.code === "unrecognized_keys" && unknownName !== undefined) {
    const option = [...issue.path.map(String), unknownName].join(".");
    throw new InvalidOptionError(what, option, `is not an option${hint(unknownName, schema, issue.path)}`);
  }
  const option = issue?.path.map(String).join(".") ?? "";
  throw new InvalidOptionError(what, option === "" ? "options" : option, issue?.message ?? "is invalid");
}

function hint(unknownName: string, schema: unknown, path: readonly PropertyKey[]): string {
  const known = knownNames(schema, path);
  const nearest = closestName(unknownName, known);
  if (nearest) return `; did you mean ${JSON.stringify(nearest)}?`;
  return known.length > 0 ? `; known are ${known.join(", ")}` : "";
}

function knownNames(schema: unknown, path: readonly PropertyKey[]): string[] {
  let shape = shapeOf(schema);
  for (const step of path) shape = shapeOf(shape?.[String(step)]);
  return shape ? Object.keys(shape) : [];
}

/** The fields of an object schema, looked for under wrappers such as `.optional()` and `.transform()`. */
function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  let current = schema;
  while (isRecord(current) && isRecord(current.def)) {
    if (isRecord(current.shape)) return current.shape;
    current = current.def.innerType ?? current.def.in;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}
