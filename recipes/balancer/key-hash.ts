/** 64 bits, the same in every process: two integers of 32 bits with a sign, which engines keep without a box. */
export interface KeyHash {
  readonly high: number;
  readonly low: number;
}

/**
 * Two lanes of 32 bits, each multiplied by an odd number of its own for each code unit, and mixed with each other at
 * the end.
 */
export function hashKey(key: string): KeyHash {
  let high = 0x243f6a88 ^ key.length;
  let low = 0x13198a2e;
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x85ebca77);
    high ^= high >>> 15;
    low ^= low >>> 13;
  }
  const mixedHigh = mix(high ^ (low << 16), low);
  return { high: mixedHigh, low: mix(low ^ (high >>> 16), mixedHigh) };
}

/**
 * An integer of 32 bits that depends on every bit of both. The multipliers and shifts are those of the finalizer of
 * Austin Appleby's MurmurHash3.
 */
export function mix(a: number, b: number): number {
  let mixed = a ^ Math.imul(b, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The same in every process, in [0, 1). */
export function fraction(text: string): number {
  return (hashKey(text).high >>> 0) / 2 ** 32;
}
