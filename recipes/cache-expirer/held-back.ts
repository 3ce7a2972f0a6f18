import { MassRemovalError } from "../errors/index.ts";
import type { Buckets, KeyEnd } from "./buckets.ts";

/** Ids that are missing, and would have been cleaned if there were not so many of them. */
export class HeldBack {
  readonly #buckets: Buckets;
  readonly #maxDropRatio: number | undefined;
  /** When each is cleaned all the same. */
  readonly #until = new Map<string, number>();

  constructor(buckets: Buckets, maxDropRatio: number | undefined) {
    this.#buckets = buckets;
    this.#maxDropRatio = maxDropRatio;
  }

  /**
   * @param missing the ids, each with the end that it would have had
   * @returns why they are held back; undefined when they are not too many
   */
  consider(missing: ReadonlyMap<string, KeyEnd>, of: number, nowMs: number): MassRemovalError | undefined {
    if (this.#maxDropRatio === undefined || missing.size === 0 || missing.size / of < this.#maxDropRatio) {
      return undefined;
    }
    const { ttlMs } = this.#buckets;
    for (const [id, { expiresAt = nowMs + ttlMs }] of missing) this.#until.set(id, this.#buckets.sweptAt(expiresAt));
    return new MassRemovalError(
      `${missing.size} of ${of} ids are missing in etcd at once; they are held back until their time is over`,
    );
  }

  /** @returns whether it was held back */
  release(id: string): boolean {
    return this.#until.delete(id);
  }

  /** Takes out those whose time is over. */
  takeDue(nowMs: number): string[] {
    const due: string[] = [];
    for (const [id, untilMs] of this.#until) {
      if (untilMs > nowMs) continue;
      this.#until.delete(id);
      due.push(id);
    }
    return due;
  }
}
