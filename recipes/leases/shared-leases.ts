import { type CallOptions, type EtcdClient, InvalidOptionError, type Lease, type LeaseId } from "../../src/index.ts";
import { abortable, quietDeferred, runtimeOf } from "../../src/internal/index.ts";
import { allSettled, type KeyLeases } from "./key-leases.ts";
import { LeaseLine } from "./lease-line.ts";
import { Leftovers } from "./leftovers.ts";

const ofClients = new WeakMap<EtcdClient, Map<number, SharedLeases>>();

/**
 * The lease that keys of one client with the same TTL are on together.
 *
 * ```
 *   none ──first needs it──▶ granting ──▶ living ──last leaves──▶ revoked, none
 *                                 ▲            │ lost, revoked by hand
 *                                 └────────────┘ (one grant, for all who need it)
 * ```
 *
 * Guaranteed: one key has one owner at a time, so a key on one of these leases, earlier ones too, is its owner's or was
 * left by the one before. Who leaves takes its own key and nothing else; what it could not take, or what lands later,
 * is deleted while the lease lives (`Leftovers`). Only when the last one leaves the lease is revoked; who comes
 * meanwhile gets a new one.
 */
export class SharedLeases {
  readonly #line: LeaseLine;
  readonly #leftovers: Leftovers;
  /** All who have not begun to leave. */
  readonly #present = new Set<SharedLeaseMember>();
  /** The newest of each key, until it and those before it have left. */
  readonly #owners = new Map<string, SharedLeaseMember>();

  private constructor(etcd: EtcdClient, ttlSeconds: number) {
    this.#line = new LeaseLine(etcd, ttlSeconds);
    this.#leftovers = new Leftovers({
      etcd,
      clock: runtimeOf(etcd).clock,
      belongs: (key) => this.#owners.has(key),
      onGone: (lease, cause) => this.#line.gone(lease, cause),
    });
  }

  /** Those of a client for one TTL. */
  static of(etcd: EtcdClient, ttlSeconds: number): SharedLeases {
    const known = ofClients.get(etcd) ?? new Map<number, SharedLeases>();
    ofClients.set(etcd, known);
    const leases = known.get(ttlSeconds) ?? new SharedLeases(etcd, ttlSeconds);
    known.set(ttlSeconds, leases);
    return leases;
  }

  /**
   * Takes part, with one key. One that is being left by another is taken over once that one has left.
   *
   * @throws InvalidOptionError when another registration has the key, and stays
   */
  join(what: string, key: string): KeyLeases {
    const before = this.#owners.get(key);
    if (before && !before.isEnding) {
      throw new InvalidOptionError(
        what,
        "key",
        `must be a new one on a shared lease: this client has registered ${key} on it already; close that one first`,
      );
    }
    const free = Promise.all([before?.freed, this.#leftovers.deleting(key)]);
    const member: SharedLeaseMember = new SharedLeaseMember(this.#line, free, (withdraw, options) =>
      this.#leave(key, member, withdraw, options),
    );
    this.#present.add(member);
    this.#owners.set(key, member);
    return member;
  }

  async #leave(
    key: string,
    member: SharedLeaseMember,
    withdraw: (() => Promise<void>) | undefined,
    options: CallOptions,
  ): Promise<void> {
    this.#present.delete(member);
    const last = this.#present.size === 0;
    try {
      if (!withdraw) return;
      // At once: the leases take a write with them that is still on its way.
      if (last) await allSettled([withdraw(), this.#line.revokeAll(options)]);
      else await withdraw();
    } finally {
      void member.freed.then(() => {
        if (this.#owners.get(key) === member) this.#owners.delete(key);
      });
      const lease = this.#line.current;
      if (this.#present.size === 0) this.#leftovers.stop();
      else if (lease) this.#leftovers.watch(lease);
    }
  }
}

class SharedLeaseMember implements KeyLeases {
  readonly #line: LeaseLine;
  readonly #leave: (withdraw: (() => Promise<void>) | undefined, options: CallOptions) => Promise<void>;
  readonly #left = quietDeferred<void>();
  /** Resolves when it and those that had the key before it have left, or given up leaving. */
  readonly freed: Promise<unknown>;
  /** Until the key is free; undefined from then on. */
  #free: Promise<unknown> | undefined;
  #ending = false;

  constructor(
    line: LeaseLine,
    free: Promise<unknown>,
    leave: (withdraw: (() => Promise<void>) | undefined, options: CallOptions) => Promise<void>,
  ) {
    this.#line = line;
    this.#free = free;
    this.freed = Promise.all([free, this.#left.promise]);
    this.#leave = leave;
  }

  get isEnding(): boolean {
    return this.#ending;
  }

  get current(): Lease | undefined {
    return this.#free ? undefined : this.#line.current;
  }

  has(id: LeaseId | undefined): boolean {
    return this.#line.has(id);
  }

  async living(signal: AbortSignal): Promise<Lease> {
    if (this.#free) await abortable(this.#free, signal);
    this.#free = undefined;
    return this.#line.living(signal);
  }

  gone(lease: Lease, cause: unknown): void {
    this.#line.gone(lease, cause);
  }

  ending(): void {
    this.#ending = true;
  }

  async leave(withdraw: () => Promise<void>, options: CallOptions): Promise<void> {
    this.#ending = true;
    try {
      await this.#leave(withdraw, options);
    } finally {
      this.#left.resolve();
    }
  }

  forget(): void {
    this.#ending = true;
    void this.#leave(undefined, {}).catch(() => {});
    this.#left.resolve();
  }
}
