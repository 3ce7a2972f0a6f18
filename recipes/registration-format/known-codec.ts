import type { RegistrationCodec, RegistrationToWrite } from "./codec.ts";

/** What is wrong with a registration, and in which option. */
export interface UnfitField {
  readonly option: "address" | "weight" | "metadata" | "key";
  readonly message: string;
}

/** A codec of this package, which can say what it does not take. */
export interface KnownCodec extends RegistrationCodec {
  /** @returns why it cannot be written, if so */
  check?(registration: RegistrationToWrite): UnfitField | undefined;
}

const urlOfServer = /^(?:https?|grpcs?|h2c?|wss?|tcp):\/\//i;

/** Callers build the URL themselves, so one in the place of an address makes `http://http://…` of it. */
export function checkHostPort({ address }: RegistrationToWrite): UnfitField | undefined {
  const [scheme] = urlOfServer.exec(address) ?? [];
  if (scheme === undefined) return undefined;
  const rest = address.slice(scheme.length).replace(/^.*@/s, "").split(/[/?#]/)[0] ?? "";
  // A password may stand where the port should.
  const example = /^([^:%]+|\[[^\]]+\])(:\d{1,5})?$/.test(rest) ? rest : "10.0.0.1:8080";
  const say = `say ${JSON.stringify(example)}; the caller puts ${scheme} in front`;
  return { option: "address", message: `must be host and port without a scheme: ${say}` };
}

/** Go's maps of text take nothing else, and a reader gives up the value, or its whole list. */
export function checkTexts(metadata: Readonly<Record<string, unknown>> | undefined): UnfitField | undefined {
  const bad = Object.entries(metadata ?? {}).find(([, value]) => typeof value !== "string");
  return bad && { option: "metadata", message: `must have text alone in this format: look at ${bad[0]}` };
}
