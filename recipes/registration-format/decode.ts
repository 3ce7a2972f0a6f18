import { z } from "zod";
import { InvalidValueError } from "../errors/index.ts";
import { decodeKratos, looksLikeKratos } from "./decode-kratos.ts";
import { DEFAULT_WEIGHT, type Registration, reservedNames } from "./registration.ts";

/** What no address has and no writer of ours writes: it would move the cursor of the terminal that prints it. */
const unfitForAddress = /[\s\p{C}\ufffd]/u;

/** Go's `endpoints.Update`: unknown fields belong to other programs. */
const endpointSchema = z.object({
  Op: z.literal(0).optional(),
  // Not min(1): zod compares the "length" of what is no string as well, and an object's can be one that throws.
  Addr: z.string().refine((address) => address !== ""),
  Metadata: z.unknown().optional(),
});

const weightSchema = z.number().min(0).default(DEFAULT_WEIGHT);
const drainingSchema = z.boolean().default(false);

/** No white space, control characters, quotes or brackets of markup: what no address has. */
const plainAddress = /^[^\s\p{C}"'`<>{}\\,;|]+$/u;
const LONGEST_PLAIN_ADDRESS = 2048;
/**
 * The JSON that looks like an address. Most addresses are none, and to let the parser find that out costs an error
 * each.
 */
const mayBeJson = /^(?:\[|[-+.\deE]+$|true$|false$|null$)/;

/**
 * Reads what a service wrote, in whichever format: a bare address (the Go engine, go-zero), the JSON of Go's
 * `naming/endpoints`, that of kratos v2.
 *
 * @throws InvalidValueError that says what is wrong, without showing the value
 */
export function decodeRegistration(text: string): Registration {
  return text.trimStart().startsWith("{") ? decodeObject(text) : decodePlain(text);
}

function decodePlain(text: string): Registration {
  if (text === "") throw new InvalidValueError("the value is empty");
  if (text.includes("\ufffd") || text.length > LONGEST_PLAIN_ADDRESS || !plainAddress.test(text)) {
    throw new InvalidValueError("the value is neither an address nor the JSON of an endpoint");
  }
  if (mayBeJson.test(text) && parseJson(text) !== undefined)
    throw new InvalidValueError("the value is JSON, but not that of an endpoint");
  return { address: text, weight: DEFAULT_WEIGHT, draining: false, metadata: undefined };
}

function decodeObject(text: string): Registration {
  const json = parseJson(text);
  if (json === undefined) throw new InvalidValueError("the value begins like JSON and is not");
  return isRecord(json) && looksLikeKratos(json) ? decodeKratos(json) : decodeEndpoint(json);
}

function decodeEndpoint(json: unknown): Registration {
  const endpoint = endpointSchema.safeParse(json);
  if (!endpoint.success) {
    const field = endpoint.error.issues[0]?.path.map(String).join(".") ?? "";
    throw new InvalidValueError(
      `the value is JSON, but not that of an endpoint: look at ${field === "" ? "its shape" : field}`,
    );
  }
  const { Addr: address, Metadata: metadata } = endpoint.data;
  if (unfitForAddress.test(address)) {
    throw new InvalidValueError("the value is JSON, but not that of an endpoint: look at Addr");
  }
  if (!isRecord(metadata)) {
    return { address, weight: DEFAULT_WEIGHT, draining: false, metadata: metadata ?? undefined };
  }
  const { [reservedNames.weight]: writtenWeight, [reservedNames.draining]: writtenDraining, ...others } = metadata;
  const weight = weightSchema.safeParse(writtenWeight);
  if (!weight.success) throw new InvalidValueError(`${reservedNames.weight} must be a number of at least 0`);
  const draining = drainingSchema.safeParse(writtenDraining);
  if (!draining.success) throw new InvalidValueError(`${reservedNames.draining} must be true or false`);
  return { address, weight: weight.data, draining: draining.data, metadata: others };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
