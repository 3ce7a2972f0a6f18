import { randomBytes } from "node:crypto";
import type { Runtime } from "./runtime.ts";

/**
 * From 1 to 2^63 - 1, and never drawn twice by anyone: for ids that are owned by having them. Math.random() is no
 * source of such ids. Two processes can have the same sequence of it, from a seed that a program or a test sets, and
 * would take each other's lease for their own. Each is drawn when it is asked for: numbers that were drawn before would
 * be in every copy of the process that a snapshot of its machine makes.
 */
export function uniqueNumber(runtime?: Runtime): bigint {
  if (runtime?.uniqueNumber) return runtime.uniqueNumber();
  const number = randomBytes(8).readBigUInt64BE() >> 1n;
  return number === 0n ? 1n : number;
}
