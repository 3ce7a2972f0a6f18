import {
  ClientClosedError,
  ConflictError,
  EtcdTimeoutError,
  type KeyValue,
  type Lease,
  type Mirror,
  type MirrorBatch,
} from "../../src/index.ts";
import { abortable, Backoff, log, quietDeferred, sleep, systemRuntime } from "../../src/internal/index.ts";
import {
  asError,
  type CommonEvents,
  isMendable,
  Notifier,
  type RecipeClient,
  recipeClient,
  Wake,
} from "../common/index.ts";
import { DesiredRegistration } from "./desired-registration.ts";
import { checkHealth } from "./health-check.ts";
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
  /** The key is gone, or can no longer be proved to be there. */
  lost: [error: Error];
  /** Somebody else has the key; this registration waits until it is free. */
  conflict: [conflict: RegisterConflict];
  status: [status: RegisterStatus];
  closed: [];
}

/**
 * Keeps one service in the list: the key is there, with the newest value, as long as this object lives.
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
 * After `close()` has resolved it never comes back. No write of it lands over somebody else's newer one.
 *
 * Not guaranteed: that the key is gone at the TTL when the process dies. A leader change in etcd gives a lease its whole TTL
 * again, so the TTL is a minimum.
 */
export class ServiceRegister extends Notifier<ServiceRegisterEvents> implements AsyncDisposable {
  readonly key: string;
  /** Resolves at the first registration; rejects when it cannot come to it: not permitted, conflict, closed. */
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
  #healthy: boolean;
  #registeredOnce = false;
  #rival: KeyValue | undefined;
  #placedRevision = 0;
  #lastError: Error | undefined;
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
    this.#healthy = this.#options.health === undefined;
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
   * Changes what the service says of itself. Resolves when the newest value stands in etcd, also if that is after an outage.
   *
   * @throws InvalidOptionError for what the format cannot carry; ClientClosedError after `close()`; the failure after `failed`
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
   * the lease. A plain registration cannot say that it drains: its key is deleted first, the wait comes after. When etcd is
   * out of reach this takes, besides the wait, 5 s or the TTL at most, whichever is shorter, and the key dies with its
   * lease. What goes wrong is a `warning`. Calling it again is harmless.
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
        if (!isMendable(error) || error instanceof ConflictError) {
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
      if (error) this.notify("warning", error);
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
    if (kv?.modRevision === this.#placedRevision) return;
    // The mirror has not come to our own write yet.
    if (batch.type === "changes" && batch.revision < this.#placedRevision) return;
    if (!kv) this.#lost(new RegistrationLostError(`${this.key} is gone from etcd`));
    this.#wake.set();
  }

  async #reconcile(signal: AbortSignal): Promise<void> {
    if (!this.#healthy) {
      await this.#owned.withdraw(signal);
      this.#stepAside();
      return;
    }
    const { version, text } = this.#desired;
    const claim = await this.#owned.claim(
      text,
      (by) => this.#mayTake(by),
      (lease) => this.#watchLease(lease),
      signal,
    );
    if (claim.outcome === "taken") {
      this.#conflict(claim.by);
      return;
    }
    this.#placed(claim.revision, version);
    // An update came while this one was written.
    if (version !== this.#desired.version) this.#wake.set();
  }

  /** Only the first registration may take somebody else's key: two owners never fight for ever. */
  #mayTake(by: KeyValue): boolean {
    if (this.#registeredOnce) return false;
    if (this.#options.onConflict === "error") {
      throw new ConflictError(`${this.key} belongs to somebody else${by.lease ? `, on lease ${by.lease}` : ""}`);
    }
    return this.#options.onConflict === "replace";
  }

  #placed(revision: number, version: number): void {
    const again = revision !== this.#placedRevision;
    this.#placedRevision = revision;
    this.#registeredOnce = true;
    this.#rival = undefined;
    this.#lastError = undefined;
    this.#desired.written(version);
    if (this.#status === "registered" && !again) return;
    const announced = this.#status !== "registered";
    this.#setStatus("registered");
    if (announced) this.notify("registered", { key: this.key, revision });
    this.#ready.resolve();
  }

  #watchLease(lease: Lease): void {
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
    const had = this.#status === "registered";
    if (!had && next === "recovering") return;
    this.#lastError = error;
    this.#placedRevision = 0;
    this.#setStatus(next);
    if (had) this.notify("lost", error);
  }

  #conflict(by: KeyValue): void {
    const known = this.#rival?.createRevision === by.createRevision && this.#rival.lease === by.lease;
    this.#rival = by;
    this.#lost(new ConflictError(`${this.key} belongs to somebody else`), "passive");
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
    this.#owned.abandonLease(error);
    void this.#mirror?.close();
    this.#setStatus("failed");
    this.#ready.reject(error);
    this.#desired.giveUp(error);
    this.notify("failed", error);
    if (!this.#closed) void this.#client.release();
  }

  async #close(drainMs: number): Promise<void> {
    const alreadyFailed = this.#closing.signal.aborted;
    const error = new ClientClosedError(`the registration of ${this.key} was closed`);
    this.#closing.abort(error);
    this.#ready.reject(error);
    this.#desired.giveUp(error);
    await this.#running;
    const limitMs = Math.min(CLOSE_LIMIT_MS, this.#options.ttlSeconds * 1_000);
    if (!alreadyFailed) {
      const inList = this.#status === "registered";
      if (drainMs > 0 && inList) await this.#drain(drainMs, limitMs);
      await this.#leave(limitMs);
    }
    await this.#mirror?.close();
    await this.#client.release();
    this.#setStatus("closed");
    this.notify("closed");
  }

  async #drain(drainMs: number, limitMs: number): Promise<void> {
    await this.#attempt(limitMs, async (signal) => {
      if (this.#options.format === "plain") return this.#owned.withdraw(signal);
      this.#desired.update({ draining: true });
      await this.#owned.claim(
        this.#desired.text,
        () => false,
        () => {},
        signal,
      );
    });
    await sleep(systemRuntime.clock, drainMs);
  }

  /** Deletes and revokes at once: the lease takes a write with it that is still on its way. */
  async #leave(limitMs: number): Promise<void> {
    await Promise.all([
      this.#attempt(limitMs, (signal) => this.#owned.withdraw(signal)),
      this.#attempt(limitMs, async (signal) => this.#owned.lease?.revoke({ signal })),
    ]);
  }

  /** One step of closing: it has its time, and what goes wrong is told and left. */
  async #attempt(limitMs: number, step: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const limit = new AbortController();
    const outOfTime = new EtcdTimeoutError(`${this.key}: etcd did not answer within ${limitMs} ms while closing`);
    const timer = systemRuntime.clock.timer(limitMs, () => limit.abort(outOfTime));
    try {
      await step(limit.signal);
    } catch (error) {
      this.notify("warning", asError(error));
    } finally {
      timer.cancel();
    }
  }
}
