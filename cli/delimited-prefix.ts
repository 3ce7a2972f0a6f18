import { emptyArgument, UsageError } from "./exit-codes.ts";

/**
 * As the recipes read it: `/svc` is `/svc/`, so that `/svc2/a` is no neighbour.
 *
 * @throws UsageError for an empty one
 */
export function delimitedPrefix(given: string): string {
  if (given === "") throw new UsageError(emptyArgument("PREFIX"));
  return given.endsWith("/") ? given : `${given}/`;
}
