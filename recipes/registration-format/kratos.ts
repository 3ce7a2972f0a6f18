import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationRead, RegistrationToWrite } from "./codec.ts";
import { isRecord, looksLikeObject, parseJson } from "./json-value.ts";
import { checkTexts, type KnownCodec, type UnfitField } from "./known-codec.ts";
import { DEFAULT_WEIGHT } from "./registration.ts";

/** kratos v2's `registry.ServiceInstance`, as its contrib/registry/etcd writes it. */
const instanceSchema = once(() =>
  z.object({
    name: z.optional(z.string()),
    version: z.optional(z.string()),
    metadata: z.nullish(z.record(z.string(), z.unknown())),
    // One finding for all of them: of a megabyte of numbers zod would write half a million.
    endpoints: z.nullable(z.custom<string[]>(isTexts, "must be a list of strings")),
  }),
);

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
export function readKratos(json: object): RegistrationRead {
  const instance = instanceSchema().safeParse(json);
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
    metadata: { ...metadata, ...own },
  };
}

/** `<namespace>/<name>/<id>`: kratos looks for its services by the name in the value, which must be that of the key. */
function placeOf({ key }: RegistrationToWrite): { readonly name: string; readonly id: string } | undefined {
  const [id, name] = key.split("/").reverse();
  return id && name ? { name, id } : undefined;
}

function fieldsOf(metadata: Readonly<Record<string, unknown>> | undefined) {
  const { version = "", endpoints = [], name: _, ...texts } = metadata ?? {};
  return { version, endpoints, texts };
}

function checkKratos(registration: RegistrationToWrite): UnfitField | undefined {
  const { address, weight, metadata } = registration;
  if (!placeOf(registration)) {
    return { option: "key", message: "must end with the service's name and its id, such as /microservices/orders/m1" };
  }
  const url = endpointUrl.exec(address);
  if (!url?.[1] || !hostAndPort.test(url[1])) {
    const message = 'must be a URL with scheme, host and port in the format "kratos", such as grpc://10.0.0.1:9000';
    return { option: "address", message };
  }
  if (weight !== undefined && !Number.isSafeInteger(weight)) {
    return { option: "weight", message: 'must be a whole number in the format "kratos"' };
  }
  const { version, endpoints, texts } = fieldsOf(metadata);
  if (!isTexts(endpoints)) return { option: "metadata", message: "must have URLs alone for endpoints" };
  return checkTexts({ ...texts, version });
}

/**
 * kratos v2: the JSON of its `registry.ServiceInstance` under `/microservices/<name>/<id>`. Its clients give up their
 * whole list at one value that is not of this format (contrib/registry/etcd/registry.go, GetService). The address is a
 * URL; further ones are `metadata.endpoints`, and `metadata.version` is the version. Everything else is text. A client
 * in Go knows no draining.
 */
export const kratos: KnownCodec = {
  name: "kratos",
  carries: { draining: false },
  check: checkKratos,
  encode: (registration) => {
    const { address, weight } = registration;
    const { version, endpoints, texts } = fieldsOf(registration.metadata);
    const metadata = weight === undefined ? texts : { ...texts, weight: String(weight) };
    const others = (endpoints as string[]).filter((url) => url !== address);
    return JSON.stringify({
      id: placeOf(registration)?.id ?? "",
      name: placeOf(registration)?.name ?? "",
      version,
      // Go writes a missing map as null.
      metadata: Object.keys(metadata).length > 0 ? metadata : null,
      endpoints: [address, ...others],
    });
  },
  decode: (value) => {
    if (!looksLikeObject(value)) return undefined;
    const json = parseJson(value);
    if (json === undefined) throw new InvalidValueError("the value begins like JSON and is not");
    return isRecord(json) && looksLikeKratos(json) ? readKratos(json) : undefined;
  },
};

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
