import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationRead } from "./codec.ts";
import { isRecord, looksLikeObject, parseJson } from "./json-value.ts";
import { checkHostPort, checkTexts, type KnownCodec } from "./known-codec.ts";

/** What kitex's resolver takes for a weight that is missing, or not above 0 (etcd_resolver.go). */
const KITEX_WEIGHT = 10;

/** `instanceInfo` of kitex-contrib/registry-etcd. */
const instanceSchema = once(() =>
  z.object({
    network: z.string(),
    address: z.string().check(z.refine((address) => /^[^\s\p{C}\ufffd]+$/u.test(address))),
    weight: z.nullish(z.number()),
    tags: z.nullish(z.record(z.string(), z.string())),
  }),
);

/** Whether a JSON object is meant as kitex's. */
export function looksLikeKitex(json: object): boolean {
  return "network" in json && "address" in json && !("Addr" in json);
}

/** @throws InvalidValueError that says what is wrong, without showing the value */
export function readKitex(json: object): RegistrationRead {
  const instance = instanceSchema().safeParse(json);
  if (!instance.success) {
    const field = instance.error.issues[0]?.path[0];
    throw new InvalidValueError(`the value is JSON, but not that of a kitex instance: look at ${String(field)}`);
  }
  const { address, weight, tags, network } = instance.data;
  const ofNetwork = network === "tcp" ? undefined : { network };
  return {
    address,
    weight: weight && weight > 0 ? weight : KITEX_WEIGHT,
    metadata: tags || ofNetwork ? { ...tags, ...ofNetwork } : undefined,
  };
}

/**
 * kitex with registry-etcd: `{"network","address","weight","tags"}` under `kitex/registry-etcd/<name>/<address>`. Tags
 * are text; `metadata.network` is the network, if it is not tcp. A client in Go knows no draining, and takes a weight
 * of 0 for 10. All fields are written: its resolver reads one value over the one before.
 */
export const kitex: KnownCodec = {
  name: "kitex",
  carries: { draining: false },
  check: (registration) => {
    const { weight, metadata } = registration;
    if (weight !== undefined && !(Number.isSafeInteger(weight) && weight >= 1)) {
      return { option: "weight", message: 'must be a whole number of at least 1 in the format "kitex"' };
    }
    return checkHostPort(registration) ?? checkTexts(metadata);
  },
  encode: ({ address, weight = KITEX_WEIGHT, metadata }) => {
    const { network = "tcp", ...tags } = metadata ?? {};
    return JSON.stringify({ network, address, weight, tags: Object.keys(tags).length > 0 ? tags : null });
  },
  decode: (value) => {
    if (!looksLikeObject(value)) return undefined;
    const json = parseJson(value);
    if (json === undefined) throw new InvalidValueError("the value begins like JSON and is not");
    return isRecord(json) && looksLikeKitex(json) ? readKitex(json) : undefined;
  },
};
