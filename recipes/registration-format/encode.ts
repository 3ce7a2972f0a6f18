import type { Op } from "../../src/index.ts";
import { requestRoom, revisionRoom } from "../writes/index.ts";
import { DEFAULT_WEIGHT, type Registration, type RegistrationFormat, reservedNames } from "./registration.ts";

/** As it is put into etcd. The `plain` format carries the address and nothing else. */
export function encodeRegistration(format: RegistrationFormat, registration: Registration): string {
  const { address, weight, draining, metadata } = registration;
  if (format === "plain") return address;
  const reserved = {
    ...(weight !== DEFAULT_WEIGHT && { [reservedNames.weight]: weight }),
    ...(draining && { [reservedNames.draining]: true }),
  };
  const named = metadata === undefined || metadata === null ? reserved : { ...(metadata as object), ...reserved };
  // Go writes a missing Metadata as null.
  const written = metadata === undefined && Object.keys(named).length === 0 ? null : named;
  return JSON.stringify({ Op: 0, Addr: address, Metadata: written });
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
