import { type EtcdClient, type Lease, LeaseNotFoundError } from "../../src/index.ts";
import { asError, type Clock, log, type Timer } from "../../src/internal/index.ts";
import { deleteIfUnchanged } from "../writes/index.ts";

const debug = log("lease");

const FIRST_LOOK_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export interface LeftoversParts {
  readonly etcd: Pick<EtcdClient, "get" | "txn">;
  readonly clock: Clock;
  /** Whether a member has this key: then it is no leftover, whatever stands there. */
  readonly belongs: (key: string) => boolean;
  readonly onGone: (lease: Lease, cause: unknown) => void;
}

/**
 * Deletes what stands on a living lease and has no owner any more: a key whose owner was closed while etcd was out of
 * reach, or that a put brought back which had timed out and landed after its owner had left. Until the lease ends such
 * a put can land, so it is looked at until then.
 *
 * There is no watch, for that needs the right to read a prefix, and no list of what was closed: etcd itself says which
 * keys are on the lease. One request for all of them 0.5 s after a member left, and again after growing pauses of at
 * most 30 s.
 */
export class Leftovers {
  readonly #parts: LeftoversParts;
  readonly #deleting = new Map<string, Promise<void>>();
  #lease: Lease | undefined;
  #timer: Timer | undefined;
  #pauseMs = FIRST_LOOK_MS;
  #looking = false;

  constructor(parts: LeftoversParts) {
    this.#parts = parts;
  }

  /** A member left, and the lease lives on. */
  watch(lease: Lease): void {
    const soon = this.#lease === lease && this.#pauseMs === FIRST_LOOK_MS;
    this.#lease = lease;
    // Who leaves again and again must not put the look off again and again.
    if (soon && this.#timer) return;
    this.#pauseMs = FIRST_LOOK_MS;
    this.#schedule();
  }

  /** Settles, never rejects, when a deletion of this key that is under way has ended. */
  deleting(key: string): Promise<void> | undefined {
    return this.#deleting.get(key);
  }

  stop(): void {
    this.#lease = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer?.cancel();
    // It never keeps the process alive: that is up to those who have the lease.
    this.#timer = this.#parts.clock.timer(this.#pauseMs, () => void this.#look()).unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    const lease = this.#lease;
    if (!lease || this.#looking) return;
    if (lease.signal.aborted) {
      this.stop();
      return;
    }
    this.#looking = true;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
    try {
      const { keys } = await lease.timeToLive();
      for (const key of keys) {
        if (this.#parts.belongs(key) || lease.signal.aborted) continue;
        const deleting = this.#delete(key, lease).catch((error: unknown) =>
          debug("%s: %s", key, asError(error).message),
        );
        this.#deleting.set(key, deleting);
        await deleting;
        this.#deleting.delete(key);
      }
    } catch (error) {
      debug("lease %s: %s", lease.id, asError(error).message);
      if (error instanceof LeaseNotFoundError) this.#parts.onGone(lease, error);
    } finally {
      this.#looking = false;
    }
    // Meanwhile a member may have left, and asked for the next look.
    if (this.#lease && !this.#timer) this.#schedule();
  }

  async #delete(key: string, lease: Lease): Promise<void> {
    const { etcd } = this.#parts;
    const kv = await etcd.get(key);
    if (kv?.lease !== lease.id) return;
    debug("%s has no owner any more", key);
    await deleteIfUnchanged(etcd, key, kv);
  }
}
