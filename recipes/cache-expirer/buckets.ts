import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";

/** Touches within this part of the TTL count as one. */
const BUCKETS_PER_TTL = 64;

/** What stands under a tracked key. */
export interface Tracking {
  /** The number of the bucket, for people. */
  readonly bucket: number;
  /** Until when the id lives at least, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

const schema = once(() =>
  z.object({
    bucket: z.int(),
    // The largest time that a Date has.
    expiresAt: z.number().check(z.minimum(0), z.maximum(8.64e15)),
  }),
);

/**
 * Time in steps of a 64th of the TTL: all that is touched within a step expires together, a TTL after the end of the
 * step. So a key is never early, and a touch of what was touched in the same step has nothing to do.
 */
export class Buckets {
  readonly ttlMs: number;
  readonly bucketMs: number;

  constructor(ttlSeconds: number) {
    this.ttlMs = ttlSeconds * 1_000;
    this.bucketMs = this.ttlMs / BUCKETS_PER_TTL;
  }

  /** Where a touch at this moment belongs. */
  at(nowMs: number): Tracking {
    const bucket = Math.floor(nowMs / this.bucketMs);
    return { bucket, expiresAt: (bucket + 1) * this.bucketMs + this.ttlMs };
  }

  /** Whether a key that ends then is in the bucket of this moment, or in the next one. */
  isCurrent(expiresAt: number | undefined, nowMs: number): boolean {
    return expiresAt !== undefined && expiresAt >= this.at(nowMs).expiresAt && !this.isAhead(expiresAt, nowMs);
  }

  /**
   * Whether a key that ends then is further ahead than the next bucket, by which clocks may differ: it was put there
   * before the wall clock was set back, and its lease ends earlier than that.
   */
  isAhead(expiresAt: number, nowMs: number): boolean {
    return expiresAt > this.at(nowMs).expiresAt + this.bucketMs;
  }

  /** From when trackers delete what has not expired by itself: clocks may differ by one bucket. */
  sweptAt(expiresAt: number): number {
    return expiresAt + this.bucketMs;
  }

  /** The beginning of the next bucket. */
  next(nowMs: number): number {
    return (Math.floor(nowMs / this.bucketMs) + 1) * this.bucketMs;
  }
}

export function encodeTracking({ bucket, expiresAt }: Tracking): string {
  return JSON.stringify({ bucket, expiresAt });
}

/** Undefined for what no tracker has written. */
export function decodeTracking(text: string): Tracking | undefined {
  try {
    return schema().parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
