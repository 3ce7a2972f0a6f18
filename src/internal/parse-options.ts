import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { checkPlainObject, unawaited } from "../errors/plain-object.ts";
import { kindOf, shown } from "../errors/shown.ts";
import { unknownOption } from "../errors/unknown-option.ts";

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
  /** Of an `invalid_union` issue: what each of its members found. */
  readonly errors?: readonly (readonly OptionsIssue[])[] | undefined;
}

/**
 * Validates `input` with `schema` and returns the resolved options; `undefined` is no options. No I/O.
 *
 * @param secret the options whose values no message may show
 * @throws InvalidOptionError that names the first bad option and what was given, and for an unknown one the nearest
 *   known name
 */
export function parseOptions<Resolved>(
  what: string,
  schema: () => OptionsSchema<Resolved>,
  input: unknown = {},
  secret: readonly string[] = [],
): Resolved {
  checkPlainObject(what, "options", input);
  const parsed = schema().safeParse(input);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  // Else `{ user }` would only be said to lack a username.
  const first = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  const issue = first && ofItem(first);
  const path = issue?.path ?? [];
  const unknownName = issue?.keys?.[0];
  if (issue?.code === "unrecognized_keys" && unknownName !== undefined) {
    const option = [...path.map(String), unknownName].join(".");
    throw unknownOption(what, option, unknownName, knownNames(schema(), path));
  }
  const option = path.length === 0 ? "options" : path.map(String).join(".");
  const problem = issue?.message ?? "is invalid";
  // "must not be empty" says what was given.
  const given = problem.startsWith("must not")
    ? ""
    : notThis(valueAt(input, path), secret.includes(String(path[0])) ? kindOf : shown);
  throw new InvalidOptionError(what, option, `${problem}${given}`);
}

/** Of a list that may also be one value, the item that is wrong: to say that the list is "an array" would mislead. */
function ofItem(issue: OptionsIssue): OptionsIssue {
  for (const inner of issue.errors?.flat() ?? []) {
    const item = ofItem(inner);
    if (item.path.length > 0) return { ...item, path: [...issue.path, ...item.path] };
  }
  return issue;
}

function notThis(value: unknown, words: (value: unknown) => string): string {
  return `, not ${words(value)}${unawaited(value)}`;
}

/** What cannot be read was refused for that. */
function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  try {
    return path.reduce<unknown>((value, name) => (value as Record<PropertyKey, unknown>)[name], input);
  } catch {
    return undefined;
  }
}

function knownNames(schema: unknown, path: readonly PropertyKey[]): string[] {
  let shape = shapeOf(schema);
  for (const step of path) shape = shapeOf(shape?.[String(step)]);
  return shape ? Object.keys(shape) : [];
}

/** The fields of an object schema, looked for under wrappers such as `.optional()`, `.pipe()` and `.transform()`. */
function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  if (!isRecord(schema) || !isRecord(schema.def)) return undefined;
  if (isRecord(schema.shape)) return schema.shape;
  const { innerType, in: before, out: after } = schema.def;
  return shapeOf(innerType) ?? shapeOf(before) ?? shapeOf(after);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}
