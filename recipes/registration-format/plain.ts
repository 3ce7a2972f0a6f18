import { InvalidValueError } from "../errors/index.ts";
import type { RegistrationRead } from "./codec.ts";
import { looksLikeObject, parseJson } from "./json-value.ts";
import { checkHostPort, type KnownCodec } from "./known-codec.ts";

/** No white space, control characters, quotes or brackets of markup: what no address has. */
const plainAddress = /^[^\s\p{C}"'`<>{}\\,;|]+$/u;
const LONGEST_PLAIN_ADDRESS = 2048;
/**
 * The JSON that looks like an address. Most addresses are none, and to let the parser find that out costs an error
 * each.
 */
const mayBeJson = /^(?:\[|[-+.\deE]+$|true$|false$|null$)/;

/** A bare address. @throws InvalidValueError that says what is wrong, without showing the value */
export function readPlain(text: string): RegistrationRead {
  if (text === "") throw new InvalidValueError("the value is empty");
  if (text.includes("\ufffd") || text.length > LONGEST_PLAIN_ADDRESS || !plainAddress.test(text)) {
    throw new InvalidValueError("the value is neither an address nor the JSON of an endpoint");
  }
  if (mayBeJson.test(text) && parseJson(text) !== undefined)
    throw new InvalidValueError("the value is JSON, but not that of an endpoint");
  return { address: text };
}

const bareAddress: Omit<KnownCodec, "name"> = {
  carries: { weight: false, draining: false, metadata: false },
  check: (registration) => {
    const unfit = checkHostPort(registration);
    if (unfit) return unfit;
    try {
      if (looksLikeObject(registration.address)) throw new InvalidValueError("an object");
      readPlain(registration.address);
      return undefined;
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      const message = `cannot be read back from the format "plain", which is for one address such as 10.0.0.1:8080; say { format: "endpoint" }`;
      return { option: "address", message };
    }
  },
  encode: ({ address }) => address,
  decode: (value) => (looksLikeObject(value) ? undefined : readPlain(value)),
};

/** The bare address, as the Go engine writes it. */
export const plain: KnownCodec = { name: "plain", ...bareAddress };

/**
 * go-zero's value is the bare address, too; what is its own is the key, `<key>/<number>` (core/discov/publisher.go and
 * clients.go): the number is that of its lease in decimal, or the one that `WithId` says.
 */
export const goZero: KnownCodec = { name: "go-zero", ...bareAddress };
