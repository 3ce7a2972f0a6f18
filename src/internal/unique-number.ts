import { randomBytes } from "node:crypto";
import type { Runtime } from "./runtime.ts";

const NUMBER_BYTES = 8;
/** So many are drawn at once: each call of the system's source costs as much as a hundred numbers. */
const DRAWN_BYTES = 128 * NUMBER_BYTES;

/** Numbers that were drawn and not given away yet, from `next` on. */
let drawn = Buffer.alloc(0);
let next = 0;

/**
 * From 1 to 2^63 - 1, and never drawn twice by anyone: for ids that are owned by having them. Math.random() is no
 * source of such ids. Two processes can have the same sequence of it, from a seed that a program or a test sets, and
 * would take each other's lease for their own.
 */
export function uniqueNumber(runtime?: Runtime): bigint {
  if (runtime?.uniqueNumber) return runtime.uniqueNumber();
  if (next === drawn.length) {
    drawn = randomBytes(DRAWN_BYTES);
    next = 0;
  }
  const number = drawn.readBigUInt64BE(next) >> 1n;
  next += NUMBER_BYTES;
  return number === 0n ? 1n : number;
}
