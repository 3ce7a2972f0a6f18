import { InvalidOptionError } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";

/** How a strategy reads a server. What is left out has a default that fits a `ServiceInstance`, and plain strings. */
export interface ServerTraits<Server> {
  /**
   * What is remembered about a server is kept under this value, compared as a Map compares its keys. Another object
   * with the same id is the same server. @default its `key` if that is a string, else the server itself
   */
  id?: ((server: Server) => unknown) | undefined;
  /**
   * Its share of the load relative to the others: 0 or above; what is above 2^53−1 or below 10^−9 counts as that much.
   * 0: not to be picked, unless that is so for all. NaN, negative, no number: `pick()` throws InvalidOptionError. A new
   * weight counts when another object with it stands in the list.
   * @default its `weight` if that is a number, else 1
   */
  weight?: ((server: Server) => number) | undefined;
}

/** @throws InvalidOptionError for what is no Balancer to go round */
export function checkInner(what: string, inner: unknown): void {
  if (typeof inner === "object" && inner !== null && typeof (inner as { pick?: unknown }).pick === "function") return;
  throw new InvalidOptionError(what, "inner", `must be a Balancer, not ${shown(inner)}`);
}

const LARGEST_WEIGHT = Number.MAX_SAFE_INTEGER;
/** So that dividing by a weight stays far from Infinity. */
const SMALLEST_WEIGHT = 1e-9;

export function defaultId(server: unknown): unknown {
  const key = property(server, "key");
  return typeof key === "string" ? key : server;
}

export function defaultWeight(server: unknown): number {
  const weight = property(server, "weight");
  return typeof weight === "number" ? weight : 1;
}

/** `metadata.zone` if that is a string. */
export function defaultZone(server: unknown): string | undefined {
  const zone = property(property(server, "metadata"), "zone");
  return typeof zone === "string" ? zone : undefined;
}

/** The `createRevision` of an instance: a key that was deleted and made again is another process. */
export function defaultIncarnation(server: unknown): unknown {
  return property(server, "createRevision");
}

/** @throws InvalidOptionError for what is no weight */
export function checkedWeight(what: string, weight: number, server: unknown): number {
  if (typeof weight !== "number" || !(weight >= 0)) {
    const name = shown(defaultId(server));
    throw new InvalidOptionError(what, "weight", `of ${name} must be a number of at least 0, not ${shown(weight)}`);
  }
  return weight === 0 ? 0 : countedWeight(weight);
}

/** As much as a weight above 0 counts. */
export function countedWeight(weight: number): number {
  return Math.min(Math.max(weight, SMALLEST_WEIGHT), LARGEST_WEIGHT);
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
