import { z } from "zod";
import { InvalidValueError } from "../errors/index.ts";
import { DEFAULT_WEIGHT, type Registration } from "./registration.ts";

/** kratos v2's `registry.ServiceInstance`, as its contrib/registry/etcd writes it. */
const instanceSchema = z.object({
  name: z.string().optional(),
  version: z.string().optional(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  // One finding for all of them: of a megabyte of numbers zod would write half a million.
  endpoints: z.custom<string[]>(isTexts, "must be a list of strings").nullable(),
});

/** What is between the scheme and the path: Node's URL would leave out a port that is the default of its scheme. */
const endpointUrl = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@]+)(?:[/?#]|$)/i;
const hostAndPort = /^(?:\[[0-9a-f:.]+(?:%[^\]\s\p{C}]+)?\]|[^\s\p{C}"'`<>{}\\,;|:[\]]+)(?::(\d{1,5}))?$/iu;
const decimal = /^\d+(?:\.\d+)?$/;

/** Whether a JSON object is meant as kratos's: Go's endpoint has an `Addr`, kratos's instance has `endpoints`. */
export function looksLikeKratos(json: object): boolean {
  return "endpoints" in json && !("Addr" in json);
}

/**
 * Reads an instance that kratos v2 registered: the address is that of its first endpoint. The metadata is kratos's, and
 * with it `name`, `version` and `endpoints` of the instance; where both say something, the instance's own counts. The
 * weight is `metadata.weight`, if that is a number in text, as kratos's balancers read it.
 *
 * @throws InvalidValueError that says what is wrong, without showing the value
 */
export function decodeKratos(json: object): Registration {
  const instance = instanceSchema.safeParse(json);
  if (!instance.success) {
    const field = instance.error.issues[0]?.path.map(String).join(".");
    throw new InvalidValueError(`the value is JSON, but not that of a kratos instance: look at ${field}`);
  }
  const { name, version, metadata, endpoints } = instance.data;
  const [first] = endpoints ?? [];
  if (first === undefined || endpoints === null) throw new InvalidValueError("the kratos instance has no endpoints");
  const own = { ...(name && { name }), ...(version && { version }), endpoints };
  return {
    address: addressOf(first),
    weight: weightOf(metadata?.weight),
    draining: false,
    metadata: { ...metadata, ...own },
  };
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function addressOf(endpoint: string): string {
  const address = endpointUrl.exec(endpoint)?.[1];
  const match = address === undefined ? null : hostAndPort.exec(address);
  if (address === undefined || !match || Number(match[1] ?? 0) > 65_535) {
    throw new InvalidValueError("the first endpoint of the kratos instance is not a URL with a host and a port");
  }
  return address;
}

function weightOf(text: unknown): number {
  if (typeof text !== "string" || !decimal.test(text)) return DEFAULT_WEIGHT;
  const weight = Number(text);
  return weight <= Number.MAX_SAFE_INTEGER ? weight : DEFAULT_WEIGHT;
}
