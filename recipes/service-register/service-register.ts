import {
  ClientClosedError,
  ConflictError,
  type KeyValue,
  type Lease,
  type Mirror,
  type MirrorBatch,
} from "../../src/index.ts";
import { abortable, Backoff, log, quietDeferred, sleep, systemRuntime } from "../../src/internal/index.ts";
import {
  asError,
  type CommonEvents,
  checkHealth,
  isMendable,
  Notifier,
  type RecipeClient,
  recipeClient,
  Wake,
} from "../common/index.ts";
import { DesiredRegistration } from "./desired-registration.ts";

import { leave } from "./leave.ts";
import {
  type CloseOptions,
  type ResolvedRegister,
  resolveClose,
  resolveRegister,
  resolveUpdate,
  type ServiceRegisterOptions,
  type ServiceUpdate,
} from "./options.ts";
import { OwnedKey } from "./owned-key.ts";
import { RegistrationLostError } from "./registration-lost-error.ts";

const debug = log("register");

/** The own key is looked at this often even if nothing is heard of it: old servers can lose a watch's event. */
const LOOK_AGAIN_MS = 30_000;
/** `close()` gives etcd no longer than this, and never longer than the TTL: by then the key is gone anyway. */
const CLOSE_LIMIT_MS = 5_000;

/**
 * `registering`: not in the list yet. `registered`: in the list, with the newest value. `recovering`: it was, and is being
 * put back. `passive`: not in the list on purpose: somebody else has the key, or `health` says no. `failed`, `closed`: the
 * end.
 */
export type RegisterStatus = "registering" | "registered" | "recovering" | "passive" | "failed" | "closed";

/** Who has the key instead. */
export interface RegisterConflict {
  readonly key: string;
  readonly owner: KeyValue;
}

export interface ServiceRegisterEvents extends CommonEvents {
  /** The key is in etcd. Again after each loss. */
  registered: [info: { key: string; revision: number }];
  /** The key is gone, or can no longer be proved to be there. Not told of what `health` or `close()` took out. */
  lost: [error: Error];
  /** Somebody else has the key; this registration waits until it is free. Once for each owner. */
  conflict: [conflict: RegisterConflict];
  status: [status: RegisterStatus];
  closed: [];
}

/**
 * Keeps one service in the list: the key is there, with the newest value, as long as this object lives.
 *
 * ```ts
 * const server = new ServiceRegister("/publictest/pipeline/m1", "10.0.0.1:8080", 5);
 * await server.ready;
 * process.once("SIGTERM", () => server.close());
 * ```
 *
 * ```
 *   registering ──key put on a lease──▶ registered ◀──────────────────────────┐
 *        │                                 │ lease lost, key deleted           │
 *        │ somebody else's key,            ▼                                   │
 *        │ health says no               recovering ──new lease, key put────────┤
 *        ▼                                 │ somebody else's key, health: no   │
 *     passive ◀────────────────────────────┘                                   │
 *        └──key free, health: yes──────────────────────────────────────────────┘
 *   any ──not permitted, client closed──▶ failed       any ──close()──▶ closed
 * ```
 *
 * Guaranteed: it comes back by itself after an outage of any length, a revoked lease, a key deleted by hand, a wiped etcd.
 * After a `close()` that reached etcd it never comes back; after one that could not, the key is left to its lease and never
 * renewed. No write of it lands over somebody else's newer one: two objects on one key never fight for ever, the one that
 * was replaced waits. No listener, and no promise that nobody awaits, can end the process.
 *
 * Not guaranteed: that the key is gone at the TTL when the process dies. A leader change in etcd gives a lease its whole TTL
 * again, so the TTL is a minimum. Nor that the service is reachable, or that it serves: that is what `health` is for.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: `PermissionDeniedError`, `UnauthenticatedError`,
 * `RequestRefusedError`, `ConflictError` with `onConflict: "error"`, `ClientClosedError`. Everything else is retried for
 * ever, with growing, random delays of at most 5 s, and told by `warning`.
 */
export class ServiceRegister extends Notifier<ServiceRegisterEvents> implements AsyncDisposable {
  readonly key: string;
  /**
   * Resolves at the first registration, however long that takes; rejects when it cannot come to it: not permitted,
   * `onConflict: "error"`, closed. It may be left unused.
   */
  readonly ready: Promise<void>;
  readonly #options: ResolvedRegister;
  readonly #client: RecipeClient;
  readonly #desired: DesiredRegistration;
  readonly #owned: OwnedKey;
  readonly #ready = quietDeferred<void>();
  readonly #closing = new AbortController();
  readonly #wake = new Wake();
  readonly #running: Promise<void>;
  #mirror: Mirror | undefined;
  #status: RegisterStatus = "registering";
  /** Undefined until the first check has answered. */
  #healthy: boolean | undefined;
  #registeredOnce = false;
  #rival: KeyValue | undefined;
  #placedRevision = 0;
  #losses = 0;
  #lastError: Error | undefined;
  /** After a failure: resolves when nothing is left. */
  #gone: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Starts to register at once, in the background.
   *
   * @param key where the service stands, for instance `/publictest/pipeline/m1`
   * @param address how it is reached, for instance `10.0.0.1:8080`
   * @param ttlSeconds how long the key outlives a dead process, in whole seconds, at least 1
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(key: string, address: string, ttlSeconds: number, options: ServiceRegisterOptions = {}) {
    super();
    this.#options = resolveRegister(key, address, ttlSeconds, options);
    this.#client = recipeClient(options.client);
    this.key = key;
    this.ready = this.#ready.promise;
    this.#desired = new DesiredRegistration(this.#options.format, this.#options.registration);
    this.#owned = new OwnedKey(this.#client.etcd, key, ttlSeconds);
    this.#healthy = this.#options.health === undefined ? true : undefined;
    this.#running = this.#run();
  }

  get status(): RegisterStatus {
    return this.#status;
  }

  /** Why it is not registered at the moment, if something went wrong. */
  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /**
   * Changes what the service says of itself; what is left out stays, and `metadata` is replaced whole. Resolves when this
   * value, or a newer one, stands in etcd, also if that is after an outage. Updates that come faster than etcd takes them
   * become one write. While the registration is passive it waits.
   *
   * @param options an aborted `signal` ends the wait, not the update
   * @throws InvalidOptionError for what the format cannot carry; ClientClosedError after `close()`; the failure after
   *   `failed`; `signal.reason`
   */
  async update(update: ServiceUpdate, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const resolved = resolveUpdate(this.#options.format, update);
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    this.#desired.update(resolved);
    const written = this.#desired.whenWritten();
    this.#wake.set();
    await abortable(written, signal);
  }

  /**
   * Leaves the list: marks the service as draining and waits `drainMs`, then deletes the key if it is its own and revokes
   * the lease. A plain registration cannot say that it drains: its key is deleted first, the wait comes after. One that is
   * not in the list does not wait. When etcd is out of reach this takes, besides the wait, 5 s or the TTL at most, whichever
   * is shorter, and the key dies with its lease. What goes wrong is a `warning`. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose(options);
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Brings etcd to what is desired, again and again: after each wake-up, after each failure. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(systemRuntime, { initialMs: 100 });
    // Nothing may be told before the caller had a chance to listen.
    await null;
    if (signal.aborted) return;
    try {
      this.#follow();
    } catch (error) {
      this.#fail(error);
    }
    while (!signal.aborted) {
      try {
        await this.#reconcile(signal);
        backoff.succeeded();
        await this.#wake.wait(systemRuntime.clock, LOOK_AGAIN_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!isMendable(error)) {
          this.#fail(error);
          return;
        }
        this.#stumbled(asError(error));
        await sleep(systemRuntime.clock, backoff.nextMs(), signal).catch(() => {});
      }
    }
  }

  /** Listens for what happens to the key, to the service's health and, with each lease, to the lease. */
  #follow(): void {
    const { signal } = this.#closing;
    const mirror = this.#client.etcd.mirror(this.key, {
      onStatus: (status, error) =>
        status === "failed" && this.#fail(error ?? new ClientClosedError("the client was closed")),
    });
    this.#mirror = mirror;
    void this.#watchKey(mirror);
    const { health, healthEveryMs } = this.#options;
    if (!health) return;
    const onResult = (healthy: boolean, error?: Error) => {
      if (error) this.#stumbled(error);
      if (healthy === this.#healthy) return;
      this.#healthy = healthy;
      this.#wake.set();
    };
    void checkHealth({ check: health, everyMs: healthEveryMs, clock: systemRuntime.clock, onResult }, signal);
  }

  async #watchKey(mirror: Mirror): Promise<void> {
    try {
      for await (const batch of mirror) this.#keyChanged(mirror.get(this.key), batch);
    } catch {
      // onStatus has told of it.
    }
  }

  #keyChanged(kv: KeyValue | undefined, batch: MirrorBatch): void {
    if (this.#closing.signal.aborted || kv?.modRevision === this.#placedRevision) return;
    // The mirror has not come to our own write yet. Revisions compare within one history only.
    if (batch.type !== "resynced" && batch.revision < this.#placedRevision) return;
    // Unhealthy: it may be our own delete, seen before its answer.
    if (!kv && this.#healthy) this.#vanished();
    this.#wake.set();
  }

  async #reconcile(signal: AbortSignal): Promise<void> {
    if (this.#healthy === undefined) return;
    if (!this.#healthy) {
      await this.#owned.withdraw(signal);
      this.#stepAside();
      return;
    }
    const { version, text } = this.#desired;
    const losses = this.#losses;
    const claim = await this.#owned.claim(
      text,
      // Only the first registration may take somebody else's key: two owners never fight for ever.
      () => this.#options.onConflict === "replace" && !this.#registeredOnce,
      (lease) => this.#watchLease(lease),
      signal,
    );
    if (claim.outcome === "taken") {
      this.#conflict(claim.by);
      return;
    }
    // Gone and put back before the mirror could tell.
    if (claim.how === "made") this.#vanished();
    // A listener closed it; or what was read is older than the loss that was told meanwhile, and is looked at again.
    if (signal.aborted || (claim.how === "found" && losses !== this.#losses)) return;
    // An update that came while this one was written has set the wake.
    this.#placed(claim.revision, version);
  }

  #vanished(): void {
    this.#lost(new RegistrationLostError(`${this.key} is gone from etcd`));
  }

  #placed(revision: number, version: number): void {
    this.#placedRevision = revision;
    this.#registeredOnce = true;
    this.#rival = undefined;
    this.#lastError = undefined;
    this.#desired.written(version);
    this.#ready.resolve();
    if (this.#status === "registered") return;
    this.#setStatus("registered");
    this.notify("registered", { key: this.key, revision });
  }

  #watchLease(lease: Lease): void {
    const { ttlSeconds } = this.#options;
    if (lease.ttlSeconds > ttlSeconds) {
      this.#stumbled(new Error(`a ttl of ${ttlSeconds} s is too short for etcd, which granted ${lease.ttlSeconds} s`));
    }
    lease.signal.addEventListener(
      "abort",
      () => {
        if (this.#closing.signal.aborted || this.#owned.lease !== lease) return;
        this.#lost(asError(lease.signal.reason));
        this.#wake.set();
      },
      { once: true },
    );
  }

  #lost(error: Error, next: "recovering" | "passive" = "recovering"): void {
    this.#losses++;
    const had = this.#status === "registered";
    if (!had && next === "recovering") return;
    this.#lastError = error;
    this.#placedRevision = 0;
    this.#setStatus(next);
    if (had) this.notify("lost", error);
  }

  #conflict(by: KeyValue): void {
    const known = this.#rival?.createRevision === by.createRevision && this.#rival.lease === by.lease;
    const error = new ConflictError(`${this.key} belongs to somebody else${by.lease ? `, on lease ${by.lease}` : ""}`);
    if (this.#options.onConflict === "error" && !this.#registeredOnce) {
      this.#fail(error);
      return;
    }
    this.#rival = by;
    this.#lost(error, "passive");
    if (!known) this.notify("conflict", { key: this.key, owner: by });
  }

  #stepAside(): void {
    this.#placedRevision = 0;
    this.#setStatus("passive");
  }

  #stumbled(error: Error): void {
    const news = this.#lastError?.message !== error.message;
    this.#lastError = error;
    debug("%s: %s", this.key, error.message);
    if (news) this.notify("warning", error);
  }

  #setStatus(status: RegisterStatus): void {
    if (this.#status === status || this.#status === "closed" || (this.#status === "failed" && status !== "closed"))
      return;
    this.#status = status;
    debug("%s is %s", this.key, status);
    this.notify("status", status);
  }

  #fail(cause: unknown): void {
    if (this.#closing.signal.aborted) return;
    const error = asError(cause);
    this.#lastError = error;
    this.#closing.abort(error);
    void this.#mirror?.close();
    this.#ready.reject(error);
    this.#desired.giveUp(error);
    this.#gone = this.#letGo(error);
    this.#setStatus("failed");
    this.notify("failed", error);
  }

  async #letGo(error: Error): Promise<void> {
    // A client that is being closed revokes its leases itself, and waits for that; what it does not find it cannot revoke.
    if (!(error instanceof ClientClosedError)) {
      await this.#owned
        .revokeLeases({ timeoutMs: this.#limitMs })
        .catch((failure) => debug("%s: %s", this.key, asError(failure).message));
    }
    await this.#client.release();
  }

  /** How long etcd may take when this ends. */
  get #limitMs(): number {
    return Math.min(CLOSE_LIMIT_MS, this.#options.ttlSeconds * 1_000);
  }

  async #close(drainMs: number): Promise<void> {
    const error = new ClientClosedError(`the registration of ${this.key} was closed`);
    this.#closing.abort(error);
    this.#ready.reject(error);
    this.#desired.giveUp(error);
    await this.#running;
    if (this.#gone) await this.#gone;
    else {
      await this.#leave(drainMs);
      await this.#mirror?.close();
      await this.#client.release();
    }
    this.#setStatus("closed");
    this.notify("closed");
  }

  async #leave(drainMs: number): Promise<void> {
    const { format } = this.#options;
    this.#desired.update({ draining: true });
    await leave({
      owned: this.#owned,
      drainingText: format === "plain" ? undefined : this.#desired.text,
      // Readers may still have it in their lists after an outage, too.
      drainMs: this.#status === "registered" || this.#status === "recovering" ? drainMs : 0,
      limitMs: this.#limitMs,
      clock: systemRuntime.clock,
      onWarning: (error) => this.notify("warning", error),
    });
  }
}
