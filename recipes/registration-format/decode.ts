import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationFormat, RegistrationRead } from "./codec.ts";
import { codecOf } from "./codecs.ts";
import { readEndpoint } from "./endpoint.ts";
import { isRecord, looksLikeObject, parseJson } from "./json-value.ts";
import { looksLikeKitex, readKitex } from "./kitex.ts";
import { looksLikeKratos, readKratos } from "./kratos.ts";
import { readPlain } from "./plain.ts";
import { DEFAULT_WEIGHT, type Registration } from "./registration.ts";

/**
 * Reads what a service wrote, in whichever known format: a bare address (the Go engine, go-zero), the JSON of Go's
 * `naming/endpoints`, of kratos v2, of kitex.
 *
 * @throws InvalidValueError that says what is wrong, without showing the value
 */
export function decodeRegistration(text: string): Registration {
  return whole(looksLikeObject(text) ? readObject(text) : readPlain(text));
}

/**
 * Reads it in one of these formats alone.
 *
 * @throws what the codec throws; InvalidValueError when it is of none of them
 */
export function decodeAs(formats: readonly RegistrationFormat[], text: string, key: string): Registration {
  for (const format of formats) {
    const codec = codecOf(format);
    const read = codec.decode(text, key);
    if (read !== undefined) return typeof format === "string" ? whole(read) : checked(codec.name, read);
  }
  const names = formats.map((format) => codecOf(format).name).join(", ");
  throw new InvalidValueError(`the value is not in the format ${names}`);
}

function readObject(text: string): RegistrationRead {
  const json = parseJson(text);
  if (json === undefined) throw new InvalidValueError("the value begins like JSON and is not");
  if (!isRecord(json)) return readEndpoint(json);
  if (looksLikeKratos(json)) return readKratos(json);
  return looksLikeKitex(json) ? readKitex(json) : readEndpoint(json);
}

function whole({ address, weight = DEFAULT_WEIGHT, draining = false, metadata }: RegistrationRead): Registration {
  return { address, weight, draining, metadata };
}

/** What a codec of the user's own returned. */
function checked(name: string, read: RegistrationRead): Registration {
  const { address, weight, draining } = (typeof read === "object" && read) || ({} as Partial<RegistrationRead>);
  const wrong = [
    (typeof address !== "string" || address === "") && "address",
    weight !== undefined && !(typeof weight === "number" && Number.isFinite(weight) && weight >= 0) && "weight",
    draining !== undefined && typeof draining !== "boolean" && "draining",
  ].find((field) => field !== false);
  if (wrong) throw new InvalidValueError(`what the codec ${name} made of the value cannot be used: look at ${wrong}`);
  return whole(read);
}
