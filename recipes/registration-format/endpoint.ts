import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationRead } from "./codec.ts";
import { isRecord, looksLikeObject, parseJson } from "./json-value.ts";
import { checkHostPort, type KnownCodec } from "./known-codec.ts";
import { DEFAULT_WEIGHT, reservedNames } from "./registration.ts";

/** What no address has and no writer of ours writes: it would move the cursor of the terminal that prints it. */
const unfitForAddress = /[\s\p{C}\ufffd]/u;

/** Go's `endpoints.Update`: unknown fields belong to other programs. */
const endpointSchema = once(() =>
  z.object({
    Op: z.optional(z.literal(0)),
    // Not minLength(1): zod compares the "length" of what is no string as well, and an object's can be one that throws.
    Addr: z.string().check(z.refine((address) => address !== "")),
    Metadata: z.optional(z.unknown()),
  }),
);

const weightSchema = once(() => z._default(z.number().check(z.minimum(0)), DEFAULT_WEIGHT));
const drainingSchema = once(() => z._default(z.boolean(), false));

/** @throws InvalidValueError that says what is wrong, without showing the value */
export function readEndpoint(json: unknown): RegistrationRead {
  const endpoint = endpointSchema().safeParse(json);
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
  if (!isRecord(metadata)) return { address, metadata: metadata ?? undefined };
  const { [reservedNames.weight]: writtenWeight, [reservedNames.draining]: writtenDraining, ...others } = metadata;
  const weight = weightSchema().safeParse(writtenWeight);
  if (!weight.success) throw new InvalidValueError(`${reservedNames.weight} must be a number of at least 0`);
  const draining = drainingSchema().safeParse(writtenDraining);
  if (!draining.success) throw new InvalidValueError(`${reservedNames.draining} must be true or false`);
  return { address, weight: weight.data, draining: draining.data, metadata: others };
}

/** The JSON of Go's `naming/endpoints`: `{"Op":0,"Addr":…,"Metadata":…}`. */
export const endpoint: KnownCodec = {
  name: "endpoint",
  check: checkHostPort,
  encode: ({ address, weight = DEFAULT_WEIGHT, draining, metadata }) => {
    const reserved = {
      ...(weight !== DEFAULT_WEIGHT && { [reservedNames.weight]: weight }),
      ...(draining && { [reservedNames.draining]: true }),
    };
    const named = metadata === undefined || metadata === null ? reserved : { ...metadata, ...reserved };
    // Go writes a missing Metadata as null.
    const written = metadata === undefined && Object.keys(named).length === 0 ? null : named;
    return JSON.stringify({ Op: 0, Addr: address, Metadata: written });
  },
  decode: (value) => {
    if (!looksLikeObject(value)) return undefined;
    const json = parseJson(value);
    if (json === undefined) throw new InvalidValueError("the value begins like JSON and is not");
    return isRecord(json) && "Addr" in json ? readEndpoint(json) : undefined;
  },
};
