import type { EtcdClient } from "../../src/index.ts";
import { asError, Backoff, isOfOne, type Runtime, Wake } from "../../src/internal/index.ts";
import { deleteIfUnchanged } from "../writes/index.ts";
import type { Buckets } from "./buckets.ts";
import type { TrackedKeys } from "./tracked-keys.ts";

/** Buckets of a short TTL are not worth a timer each. */
const SHORTEST_PAUSE_MS = 50;
/** So many deletions are asked for at a time, which travel in some ten requests. */
const AT_ONCE = 1_000;
/** The wall clock may be set meanwhile. */
const LONGEST_PAUSE_MS = 3_600_000;

export interface SweeperParts {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly buckets: Buckets;
  readonly runtime: Runtime;
  readonly keys: TrackedKeys;
  /**
   * What else is due now and then.
   *
   * @param gone ids of keys that are gone, which nothing else tells of, each with the time at which it would have ended
   */
  readonly onTick: (nowMs: number, gone: ReadonlyMap<string, number | undefined>) => Promise<void>;
  readonly isLive: () => boolean;
  warn(error: Error): void;
}

interface Swept {
  /** The ids of keys that were gone already, though etcd's last answer said something else. */
  readonly gone: ReadonlyMap<string, number | undefined>;
  /** Why not all that is due was deleted. */
  readonly refusal?: { readonly error: unknown } | undefined;
}

const nothing: Swept = { gone: new Map() };

/**
 * Deletes keys one bucket past their time: a leader change in etcd gives every lease its whole TTL again, so leases
 * alone would be late by a TTL and more. Each deletion is "if the key is as known": what was touched meanwhile stays.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #wake = new Wake();

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Looks now: etcd is back, or there is something new. */
  wake(): void {
    this.#wake.set();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { runtime, buckets, isLive, warn } = this.#parts;
    const backoff = new Backoff(runtime, { initialMs: 100 });
    while (!signal.aborted) {
      const nowMs = runtime.clock.wallMs();
      let pauseMs = Math.min(Math.max(SHORTEST_PAUSE_MS, buckets.next(nowMs) - nowMs), LONGEST_PAUSE_MS);
      try {
        const { gone, refusal } = isLive() ? await this.#sweep(signal) : nothing;
        await this.#parts.onTick(nowMs, gone);
        if (refusal) throw refusal.error;
        backoff.succeeded();
      } catch (error) {
        if (signal.aborted) return;
        warn(asError(error));
        pauseMs = Math.min(pauseMs, backoff.nextMs({ cause: error }));
      }
      await this.#wake.wait(runtime.clock, pauseMs, signal);
    }
  }

  async #sweep(signal: AbortSignal): Promise<Swept> {
    const { buckets, runtime, keys } = this.#parts;
    const due = keys.endedBy(runtime.clock.wallMs() - buckets.bucketMs);
    const gone = keys.forgetOverdue(runtime.clock.wallMs());
    let refusal: { readonly error: unknown } | undefined;
    for (let next = 0; next < due.length; next += AT_ONCE) {
      const deleting = due.slice(next, next + AT_ONCE).map((id) => this.#delete(id, signal));
      for (const result of await Promise.allSettled(deleting)) {
        if (result.status === "rejected") refusal ??= { error: result.reason };
        else if (result.value) gone.set(...result.value);
      }
      // One that is refused must not keep the others; while etcd is out of reach there is no use in asking for more.
      if (refusal && !isOfOne(refusal.error)) break;
    }
    return { gone, refusal };
  }

  /** @returns the id and its end, if its key was gone already and nothing else tells of that */
  async #delete(id: string, signal: AbortSignal): Promise<[id: string, expiresAt: number | undefined] | undefined> {
    const { etcd, prefix, keys } = this.#parts;
    const known = keys.get(id);
    if (!known) return undefined;
    const revision = await deleteIfUnchanged(etcd, prefix + id, known, { signal, batch: true });
    if (revision === undefined) return keys.refuted(id, known) ? [id, known.expiresAt] : undefined;
    keys.missing(id, revision);
    return undefined;
  }
}
