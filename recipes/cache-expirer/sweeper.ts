import type { EtcdClient } from "../../src/index.ts";
import { type Clock, isOfOne } from "../../src/internal/index.ts";
import { deleteIfUnchanged } from "../writes/index.ts";
import type { Buckets, KeyEnd } from "./buckets.ts";
import { endOf, type TrackedKeys } from "./tracked-keys.ts";

/** So many deletions are asked for at a time, which travel in some ten requests. */
const AT_ONCE = 1_000;

export interface SweeperParts {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly buckets: Buckets;
  readonly clock: Clock;
  readonly keys: TrackedKeys;
}

export interface Swept {
  /** The ids of keys that were gone already, though etcd's last answer said something else. */
  readonly gone: ReadonlyMap<string, KeyEnd>;
  /** Why not all that is due was deleted. */
  readonly refusal?: { readonly error: unknown } | undefined;
}

/**
 * Deletes keys one bucket past their time: a leader change in etcd gives every lease its whole TTL again, so leases
 * alone would be late by a TTL and more. Each deletion is "if the key is as known": what was touched meanwhile stays.
 */
export class Sweeper {
  readonly #parts: SweeperParts;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Deletes what is due. */
  async sweep(signal: AbortSignal): Promise<Swept> {
    const { buckets, clock, keys } = this.#parts;
    const endMs = clock.wallMs() - buckets.bucketMs;
    const due = keys.endedBy(endMs);
    const gone = keys.forgetOverdue(clock.wallMs());
    let refusal: { readonly error: unknown } | undefined;
    for (let next = 0; next < due.length; next += AT_ONCE) {
      const deleting = due.slice(next, next + AT_ONCE).map((id) => this.#delete(id, endMs, signal));
      for (const result of await Promise.allSettled(deleting)) {
        if (result.status === "rejected") refusal ??= { error: result.reason };
        else if (result.value) gone.set(...result.value);
      }
      // One that is refused must not keep the others; while etcd is out of reach there is no use in asking for more.
      if (refusal && !isOfOne(refusal.error)) break;
    }
    return { gone, refusal };
  }

  /** @returns the id and its end, if its key was gone already and nothing else reports that */
  async #delete(id: string, endMs: number, signal: AbortSignal): Promise<[id: string, end: KeyEnd] | undefined> {
    const { etcd, prefix, keys } = this.#parts;
    const known = keys.get(id);
    // It was touched while others were deleted, or its end was one of a lost history.
    if (known?.expiresAt === undefined || known.expiresAt > endMs) return undefined;
    const revision = await deleteIfUnchanged(etcd, prefix + id, known, { signal, batch: true });
    if (revision === undefined) return keys.refuted(id, known) ? [id, endOf(known)] : undefined;
    keys.missing(id, revision);
    return undefined;
  }
}
