import type { Op } from "../../src/index.ts";
import { requestRoom, revisionRoom } from "../writes/index.ts";
import type { RegistrationFormat, RegistrationToWrite } from "./codec.ts";
import { codecOf } from "./codecs.ts";
import { type OwnRegistration, reservedNames } from "./registration.ts";

/** As it is put into etcd. @throws what a codec of the user's own throws */
export function encodeRegistration(format: RegistrationFormat, registration: OwnRegistration, key = ""): string {
  return codecOf(format).encode(toWrite(registration, key));
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
