import type { LeaseTimeToLiveResponse } from "../../src/connection/codec/messages.ts";
import type { Clock, Timer } from "../../src/internal/index.ts";
import type { KeyValue } from "../../src/model/key-value.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import type { Change } from "./key-store.ts";
import { type KeyText, keyBytes, keyText } from "./key-text.ts";
import { refuse } from "./refusal.ts";

/** With etcd's default heartbeats and elections it grants no less (lease/lessor.go). */
const LEAST_TTL_SECONDS = 2;
const LARGEST_TTL_SECONDS = 9_000_000_000;

interface Lease {
  readonly ttlSeconds: number;
  readonly keys: Set<KeyText>;
  endsAtMs: number;
}

export interface LeaseTableParts {
  readonly clock: Clock;
  /** How late a lease is found to have run out, in milliseconds: in etcd up to 500. @default at once */
  readonly lateMs?: (() => number) | undefined;
  /** Deletes the keys of a lease that is gone. */
  onGone(keys: readonly KeyText[]): void;
}

/** The leases of an etcd: their time, by its own clock, and the keys on them. */
export class LeaseTable {
  readonly #parts: LeaseTableParts;
  readonly #leases = new Map<LeaseId, Lease>();
  /** Of all that ever were. */
  readonly #ttls = new Map<LeaseId, number>();
  #timer: Timer | undefined;

  constructor(parts: LeaseTableParts) {
    this.#parts = parts;
  }

  has(id: LeaseId): boolean {
    return this.#leases.has(id);
  }

  /** The one first that ends first. */
  get ids(): LeaseId[] {
    return [...this.#leases].sort(([, a], [, b]) => a.endsAtMs - b.endsAtMs).map(([id]) => id);
  }

  grant(id: LeaseId, ttlSeconds: number): number {
    if (ttlSeconds > LARGEST_TTL_SECONDS) throw refuse("ttlTooLarge");
    if (this.#leases.has(id)) throw refuse("leaseExists");
    const granted = Math.max(LEAST_TTL_SECONDS, ttlSeconds);
    this.#leases.set(id, { ttlSeconds: granted, keys: new Set(), endsAtMs: this.#nowMs + granted * 1_000 });
    this.#ttls.set(id, granted);
    this.#awaitEnd();
    return granted;
  }

  /** @returns the TTL; 0 when there is no such lease, or its time is over */
  renew(id: LeaseId): number {
    const lease = this.#leases.get(id);
    if (!lease || lease.endsAtMs <= this.#nowMs) return 0;
    lease.endsAtMs = this.#nowMs + lease.ttlSeconds * 1_000;
    return lease.ttlSeconds;
  }

  revoke(id: LeaseId): void {
    const lease = this.#leases.get(id);
    if (!lease) throw refuse("leaseNotFound");
    this.#leases.delete(id);
    if (this.#leases.size === 0) this.#timer?.cancel();
    this.#parts.onGone([...lease.keys].sort());
  }

  /** Forgets them, with nothing said of their keys. */
  clear(): void {
    this.#leases.clear();
    this.#ttls.clear();
    this.#timer?.cancel();
  }

  timeToLive(id: LeaseId, withKeys: boolean): LeaseTimeToLiveResponse {
    const lease = this.#leases.get(id);
    if (!lease) return { remainingSeconds: -1, grantedSeconds: 0, keys: [] };
    const remainingSeconds = Math.floor((lease.endsAtMs - this.#nowMs) / 1_000);
    return { remainingSeconds, grantedSeconds: lease.ttlSeconds, keys: withKeys ? [...lease.keys].map(keyBytes) : [] };
  }

  /** Another member leads: it gives every lease its whole time again. */
  refreshAll(): void {
    for (const lease of this.#leases.values()) lease.endsAtMs = this.#nowMs + lease.ttlSeconds * 1_000;
  }

  /** A key was put, with a lease or without, or deleted. */
  changed({ key, kv, before }: Change): void {
    if (before?.lease !== undefined) this.#leases.get(before.lease)?.keys.delete(key);
    if (kv.lease !== undefined) this.#leases.get(kv.lease)?.keys.add(key);
  }

  /** As a snapshot brings them back: what has keys, with its whole time. */
  restore(kvs: readonly KeyValue[]): void {
    this.#leases.clear();
    for (const { lease: id, keyBytes: key } of kvs) {
      const ttlSeconds = id && this.#ttls.get(id);
      if (!id || !ttlSeconds) continue;
      const endsAtMs = this.#nowMs + ttlSeconds * 1_000;
      const lease = this.#leases.get(id) ?? { ttlSeconds, keys: new Set(), endsAtMs };
      this.#leases.set(id, lease);
      lease.keys.add(keyText(key));
    }
    this.#awaitEnd();
  }

  get #nowMs(): number {
    return this.#parts.clock.elapsedMs();
  }

  /** One timer for all, for the one that ends first: a renewal only puts its end off. */
  #awaitEnd(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#leases.size === 0) return;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { endsAtMs } of this.#leases.values()) firstMs = Math.min(firstMs, endsAtMs);
    const lateMs = this.#parts.lateMs?.() ?? 0;
    this.#timer = this.#parts.clock.timer(Math.max(1, firstMs - this.#nowMs + lateMs), () => this.#endAll()).unref();
  }

  #endAll(): void {
    const over = [...this.#leases].filter(([, { endsAtMs }]) => endsAtMs <= this.#nowMs);
    // In the order of their ends; those of one moment in the order in which they were granted.
    over.sort(([, a], [, b]) => a.endsAtMs - b.endsAtMs);
    for (const [id] of over) this.revoke(id);
    this.#awaitEnd();
  }
}
