import { Heap, type HeapEntry } from "../internal/heap.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { HeldLease } from "./held-lease.ts";

/** Renewals that fall due within this part of their interval are sent together, with the earliest of them. */
const TOGETHER = 1 / 8;

interface Kept {
  readonly lease: HeldLease;
  readonly next: HeapEntry<HeldLease>;
  readonly end: HeapEntry<HeldLease>;
}

/**
 * Leases that are kept alive, by when each has to be looked at next, and by when it ends. Times are of `elapsedMs()`.
 *
 * A deadline only moves on. So a lease keeps its place among the ends when it is renewed, and gets its new one when its
 * former deadline has come: once in a TTL, not with each renewal.
 */
export class KeptLeases {
  readonly #kept = new Map<LeaseId, Kept>();
  readonly #next = new Heap<HeldLease>();
  readonly #ends = new Heap<HeldLease>();

  get size(): number {
    return this.#kept.size;
  }

  get all(): HeldLease[] {
    return [...this.#kept.values()].map(({ lease }) => lease);
  }

  /** When the first of them has to be looked at. */
  get nextMs(): number {
    return this.#next.firstKey;
  }

  /** None of them ends before. */
  get noEndBeforeMs(): number {
    return this.#ends.firstKey;
  }

  /** When the first of them ends. */
  get firstEndMs(): number {
    for (let first = this.#ends.first; first; first = this.#ends.first) {
      const { atMs } = first.value.deadline;
      if (first.key >= atMs) return atMs;
      this.#ends.move(first, atMs);
    }
    return Number.POSITIVE_INFINITY;
  }

  get(id: LeaseId): HeldLease | undefined {
    return this.#kept.get(id)?.lease;
  }

  add(lease: HeldLease, renewAtMs: number): void {
    const next = this.#next.add(lease, together(lease, renewAtMs));
    const end = this.#ends.add(lease, lease.deadline.atMs);
    this.#kept.set(lease.id, { lease, next, end });
  }

  /** @returns whether it was there */
  delete(lease: HeldLease): boolean {
    const kept = this.#kept.get(lease.id);
    if (kept?.lease !== lease) return false;
    this.#kept.delete(lease.id);
    this.#next.remove(kept.next);
    this.#ends.remove(kept.end);
    return true;
  }

  clear(): void {
    this.#kept.clear();
    this.#next.clear();
    this.#ends.clear();
  }

  /** It was renewed by what was sent then, and no other renewal of it is under way. */
  renewed(lease: HeldLease, sentMs: number): void {
    this.lookAgainAt(lease, together(lease, sentMs + lease.renewEveryMs));
  }

  lookAgainAt(lease: HeldLease, atMs: number): void {
    const kept = this.#kept.get(lease.id);
    if (kept) this.#next.move(kept.next, atMs);
  }

  /** The next one that has to be looked at by then. It comes again until it is to be looked at later. */
  dueBy(nowMs: number): HeldLease | undefined {
    return this.#next.firstKey <= nowMs ? this.#next.first?.value : undefined;
  }

  /** The next one whose deadline is over by then. */
  endedBy(nowMs: number): HeldLease | undefined {
    return this.noEndBeforeMs <= nowMs && this.firstEndMs <= nowMs ? this.#ends.first?.value : undefined;
  }
}

/**
 * A little earlier, at a moment that other leases are renewed at, too: a renewal alone costs a wake-up and a system
 * call each way. Steps are powers of two, so that leases with different intervals meet.
 */
function together({ renewEveryMs }: HeldLease, renewAtMs: number): number {
  const stepMs = 2 ** Math.floor(Math.log2(renewEveryMs * TOGETHER));
  return Math.floor(renewAtMs / stepMs) * stepMs;
}
