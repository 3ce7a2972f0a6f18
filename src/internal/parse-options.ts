import type { z } from "zod";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { closestName } from "./closest-name.ts";

/**
 * Validates `input` with `schema` and returns the resolved options. No I/O.
 *
 * @throws InvalidOptionError that names the first bad option, and for an unknown one the nearest known name.
 */
export function parseOptions<Resolved>(what: string, schema: z.ZodType<Resolved>, input: unknown): Resolved {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    const option = [...issue.path.map(String), issue.keys[0] ?? ""].join(".");
    throw new InvalidOptionError(what, option, `is not an option${hint(issue.keys[0] ?? "", schema, issue.path)}`);
  }
  const option = issue?.path.map(String).join(".") ?? "";
  throw new InvalidOptionError(what, option === "" ? "options" : option, issue?.message ?? "is invalid");
}

function hint(unknownName: string, schema: z.ZodType, path: PropertyKey[]): string {
  const known = knownNames(schema, path);
  const nearest = closestName(unknownName, known);
  if (nearest) return `; did you mean ${JSON.stringify(nearest)}?`;
  return known.length > 0 ? `; known are ${known.join(", ")}` : "";
}

function knownNames(schema: z.ZodType, path: PropertyKey[]): string[] {
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
