import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { closestName } from "./closest-name.ts";

/**
 * Refuses options of a call that do not exist: a misspelt one would silently do nothing.
 *
 * @throws InvalidOptionError that names the first one and the nearest known name
 */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new InvalidOptionError(what, "options", "must be an object");
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = closestName(unknown, known);
  const hint = nearest ? `did you mean ${JSON.stringify(nearest)}?` : `known are ${known.join(", ")}`;
  throw new InvalidOptionError(what, unknown, `is not an option; ${hint}`);
}
