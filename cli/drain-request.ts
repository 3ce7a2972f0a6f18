import { CommandError } from "./exit-codes.ts";

/** Where a registration says that it drains, in its `Metadata`. */
const drainingName = "etcd-recipes/draining";
/** What its owner looks for, beside `Metadata`. */
const requestName = "etcd-recipes/drain";

/** What readers take for the address of a plain registration. */
const plainAddress = /^[^\s\p{C}"'`<>{}\\,;|]+$/u;

/** What is known of a value of the `endpoint` format. */
export interface DrainState {
  readonly draining: boolean;
  /** A request stands there that its owner has not followed yet. */
  readonly requested: boolean;
}

/** @throws CommandError for a value that cannot say that it drains */
export function drainStateOf(key: string, text: string): DrainState {
  const { metadata, json } = endpointOf(key, text);
  return { draining: metadata[drainingName] === true, requested: json[requestName] !== undefined };
}

/**
 * The value with a request in it: readers see the new `draining` at once, and its owner sees whom to follow. The owner
 * answers by writing its value again, without the request.
 *
 * @throws CommandError for a value that cannot say that it drains
 */
export function withRequest(key: string, text: string, draining: boolean, by: string): string {
  const { json, metadata } = endpointOf(key, text);
  const { [drainingName]: _, ...others } = metadata;
  const changed = draining ? { ...others, [drainingName]: true } : others;
  return JSON.stringify({ ...json, Metadata: changed, [requestName]: { by } });
}

function endpointOf(key: string, text: string): { json: Record<string, unknown>; metadata: Record<string, unknown> } {
  const json = objectIn(text);
  if (json === "broken") {
    throw new CommandError(`${key} has a value that begins as JSON and is none: its owner has to write it again`);
  }
  if (json === "no object" || (!json && !plainAddress.test(text))) {
    throw new CommandError(`${key} is no registration`);
  }
  if (!json) {
    throw new CommandError(
      `${key} has a plain value, which carries no draining: register it with metadata, a weight or format: "endpoint"`,
    );
  }
  if (typeof json.Addr !== "string") throw new CommandError(`${key} is no registration that can say that it drains`);
  const { Metadata: metadata = null } = json;
  if (metadata === null) return { json, metadata: {} };
  if (isRecord(metadata)) return { json, metadata };
  throw new CommandError(`${key} has metadata that is no object, and carries no draining`);
}

/** @returns undefined for what is no JSON: an address */
function objectIn(text: string): Record<string, unknown> | "no object" | "broken" | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) ? json : "no object";
  } catch {
    return /^\s*\{/.test(text) ? "broken" : undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
