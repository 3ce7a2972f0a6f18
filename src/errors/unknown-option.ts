import { closestName } from "./closest-name.ts";
import { InvalidOptionError } from "./invalid-option-error.ts";

/**
 * For an option that does not exist: a misspelt one would silently do nothing. Says which one may be meant.
 *
 * @param path where it stands, as the caller wrote it: `tls.caFiel`
 */
export function unknownOption(what: string, path: string, name: string, known: readonly string[]): InvalidOptionError {
  const nearest = closestName(name, known);
  const listed = known.length > 0 ? `; known are ${known.join(", ")}` : "";
  const hint = nearest ? `; did you mean ${JSON.stringify(nearest)}?` : listed;
  return new InvalidOptionError(what, path, `is not an option${hint}`);
}
