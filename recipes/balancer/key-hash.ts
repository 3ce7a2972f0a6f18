import { hash } from "node:crypto";

/** 64 bits, the same in every process. */
export interface KeyHash {
  readonly high: number;
  readonly low: number;
}

export function hashKey(key: string): KeyHash {
  // As hex because that is the fastest of its outputs.
  const digest = hash("sha256", key, "hex");
  return { high: Number.parseInt(digest.slice(0, 8), 16) | 0, low: Number.parseInt(digest.slice(8, 16), 16) | 0 };
}

/**
 * A number of 32 bits that depends on every bit of both; each of them is well mixed already. The multipliers and shifts are
 * those of the finalizer of Austin Appleby's MurmurHash3.
 */
export function mix(aHigh: number, aLow: number, bHigh: number, bLow: number): number {
  let mixed = aHigh ^ bHigh;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = ((mixed ^ (mixed >>> 13)) + (aLow ^ bLow)) | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The same in every process, in [0, 1). */
export function fraction(text: string): number {
  return (hashKey(text).high >>> 0) / 2 ** 32;
}
