import { InvalidOptionError } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";
import { formatNames, type RegistrationCodec, type RegistrationFormat, type RegistrationFormatName } from "./codec.ts";
import { endpoint } from "./endpoint.ts";
import { kitex } from "./kitex.ts";
import type { KnownCodec } from "./known-codec.ts";
import { kratos } from "./kratos.ts";
import { goZero, plain } from "./plain.ts";

const known: Readonly<Record<RegistrationFormatName, KnownCodec>> = {
  plain,
  endpoint,
  "go-zero": goZero,
  kratos,
  kitex,
};

const allowed = `${formatNames.map((name) => JSON.stringify(name)).join(", ")} or a codec { name, encode, decode }`;

export function codecOf(format: RegistrationFormat): KnownCodec {
  return typeof format === "string" ? known[format] : format;
}

/** Whether a format has room for one of them. */
export function carries(format: RegistrationFormat, field: "weight" | "draining" | "metadata"): boolean {
  return codecOf(format).carries?.[field] ?? true;
}

/** @throws InvalidOptionError unless it is a format */
export function checkFormat(what: string, format: unknown, option = "format"): asserts format is RegistrationFormat {
  const isKnown = typeof format === "string" && Object.hasOwn(known, format);
  if (isKnown || isCodec(format)) return;
  throw new InvalidOptionError(what, option, `must be ${allowed}, not ${shown(format)}`);
}

function isCodec(format: unknown): format is RegistrationCodec {
  if (typeof format !== "object" || format === null) return false;
  const { name, encode, decode, carries: room } = format as Partial<Record<keyof RegistrationCodec, unknown>>;
  const isRoom = room === undefined || (typeof room === "object" && room !== null);
  return (
    typeof name === "string" && name !== "" && typeof encode === "function" && typeof decode === "function" && isRoom
  );
}
