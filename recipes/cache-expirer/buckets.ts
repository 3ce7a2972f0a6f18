import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";
import { LARGEST_DETACHED_TTL_SECONDS } from "../option-schemas/index.ts";

/** Touches within this part of the TTL count as one. */
const BUCKETS_PER_TTL = 64;

/** What stands under a tracked key. */
export interface Tracking {
  /** The number of the bucket, for people. */
  readonly bucket: number;
  /** Until when the id lives at least, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** The TTL of the lease that it is on, as far as that is known: not that of every tracker of the prefix. */
  readonly ttlSeconds?: number | undefined;
}

/** When a key ends, and by which TTL. */
export type KeyEnd = Pick<Tracking, "ttlSeconds"> & {
  /** Undefined when that is not known. */
  readonly expiresAt: number | undefined;
};

const schema = once(() =>
  z.object({
    bucket: z.int(),
    // The largest time that a Date has.
    expiresAt: z.number().check(z.minimum(0), z.maximum(8.64e15)),
    ttlSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(LARGEST_DETACHED_TTL_SECONDS))),
  }),
);

/**
 * Time in steps of a 64th of the TTL: all that is touched within a step expires together, a TTL after the end of the
 * step. So a key is never early, and a touch of what was touched in the same step has nothing to do.
 */
export class Buckets {
  readonly ttlSeconds: number;
  readonly ttlMs: number;
  readonly bucketMs: number;

  constructor(ttlSeconds: number) {
    this.ttlSeconds = ttlSeconds;
    this.ttlMs = ttlSeconds * 1_000;
    this.bucketMs = this.ttlMs / BUCKETS_PER_TTL;
  }

  /** Those of another TTL; the same ones where none is known. */
  of(ttlSeconds = this.ttlSeconds): Buckets {
    return ttlSeconds === this.ttlSeconds ? this : new Buckets(ttlSeconds);
  }

  /** Where a touch at this moment belongs. */
  at(nowMs: number): Tracking {
    const bucket = Math.floor(nowMs / this.bucketMs);
    return { bucket, expiresAt: (bucket + 1) * this.bucketMs + this.ttlMs, ttlSeconds: this.ttlSeconds };
  }

  /** Whether a key is in the bucket of this moment or a later one, and its lease lives until its end. */
  isCurrent(key: KeyEnd | undefined, nowMs: number): boolean {
    return (key?.expiresAt ?? 0) >= this.at(nowMs).expiresAt && !this.isAhead(key, nowMs);
  }

  /**
   * Whether a key is further ahead than the next bucket of its own TTL, by which clocks may differ: it was put there
   * before the wall clock was set back, and its lease ends earlier than that.
   */
  isAhead(key: KeyEnd | undefined, nowMs: number): boolean {
    const buckets = this.of(key?.ttlSeconds);
    return (key?.expiresAt ?? 0) > buckets.at(nowMs).expiresAt + buckets.bucketMs;
  }

  /**
   * Whether the time of a key that is gone was over. Its writer's clock may differ from this one by a bucket, of the
   * shorter TTL if there are two.
   */
  isOver({ expiresAt, ttlSeconds }: KeyEnd, nowMs: number): boolean {
    if (expiresAt === undefined) return false;
    return nowMs >= expiresAt - Math.min(this.bucketMs, this.of(ttlSeconds).bucketMs);
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

export function encodeTracking({ bucket, expiresAt, ttlSeconds }: Tracking): string {
  return JSON.stringify({ bucket, expiresAt, ttlSeconds });
}

/** Undefined for what no tracker has written. */
export function decodeTracking(text: string): Tracking | undefined {
  try {
    return schema().parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
