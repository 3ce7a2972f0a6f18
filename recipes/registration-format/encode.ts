import { InvalidOptionError, type Op } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";
import { requestRoom, revisionRoom } from "../writes/index.ts";
import type { RegistrationCodec, RegistrationFormat, RegistrationToWrite } from "./codec.ts";
import { codecOf } from "./codecs.ts";
import { type OwnRegistration, reservedNames } from "./registration.ts";

/** With the flag "u" a whole pair is one character, and none of these. */
const halfOfPair = /\p{Cs}/u;

/** @returns why what a codec made can be no value in etcd, if so */
export function unfitText({ name }: RegistrationCodec, text: unknown): string | undefined {
  if (typeof text !== "string") return `must encode to a string: ${name} made ${shown(text)}`;
  if (!halfOfPair.test(text)) return undefined;
  return `must encode to well-formed text: ${name} made half of a surrogate pair, which would be U+FFFD`;
}

/**
 * As it is put into etcd.
 *
 * @throws what a codec of the user's own throws; InvalidOptionError for what it made that can be no value
 */
export function encodeRegistration(format: RegistrationFormat, registration: OwnRegistration, key = ""): string {
  const codec = codecOf(format);
  const text = codec.encode(toWrite(registration, key));
  const unfit = unfitText(codec, text);
  if (unfit !== undefined) throw new InvalidOptionError("RegistrationCodec", "format", unfit);
  return text;
}

export function toWrite({ address, weight, draining, metadata }: OwnRegistration, key: string): RegistrationToWrite {
  const id = key.slice(key.lastIndexOf("/") + 1);
  return { key, id, address, weight, draining, metadata: metadata as RegistrationToWrite["metadata"] };
}

const drainingMark = `${JSON.stringify(reservedNames.draining)}:true,`;

/**
 * What is put can be put again over a later revision, and marked as draining.
 *
 * @param over the modRevision that the key has before, 0 for a missing one
 * @param compareBytes by how much the compares of a later put can be longer
 */
export function registrationRoom(key: string, text: string, over: number, compareBytes = 0): Op[] {
  const isMarked = text.includes(drainingMark.slice(0, -1));
  const roomBytes = compareBytes + revisionRoom(over) + (isMarked ? 0 : drainingMark.length);
  return requestRoom(key, Buffer.byteLength(text), roomBytes);
}
