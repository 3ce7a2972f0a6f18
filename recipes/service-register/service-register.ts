import {
  ClientClosedError,
  type KeyValue,
  type Lease,
  type MirrorBatch,
  RequestRefusedError,
} from "../../src/index.ts";
import {
  abortable,
  asError,
  Backoff,
  endsRetries,
  log,
  onAbort,
  type Runtime,
  runtimeOf,
  showAs,
  timed,
  Wake,
} from "../../src/internal/index.ts";
import { followRange, LOOK_AGAIN_MS } from "../follow/index.ts";
import { checkHealth } from "../health/index.ts";
import { OwnLeases, SharedLeases } from "../leases/index.ts";
import { Notifier, type RecipeClient, recipeClient } from "../recipe/index.ts";
import { DesiredRegistration } from "./desired-registration.ts";
import { closeLimitMs, leave } from "./leave.ts";
import { type ResolvedRegister, resolveRegister, type ServiceRegisterOptions } from "./options.ts";
import { OwnedKey } from "./owned-key.ts";
import type { RegisterStatus, ServiceRegisterEvents } from "./register-events.ts";
import { RegistrationLife } from "./registration-life.ts";
import {
  type CloseOptions,
  resolveClose,
  resolveUpdate,
  resolveWait,
  type ServiceUpdate,
} from "./registration-options.ts";

const debug = log("register");

const tooManyLeases =
  "this client has more than 500 registrations with a lease each, which each need a grant and renewals of their own: " +
  'say { lease: "shared" }, or use a RegistrationGroup';

/**
 * Keeps one service in the list: the key is there, with the newest value, as long as this object lives.
 *
 * ```ts
 * const server = new ServiceRegister("/publictest/pipeline/m1", "10.0.0.1:8080", 5);
 * await server.ready;
 * shutdown({ recipes: [server] }); // on SIGTERM it leaves the list, and the process ends
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
 *   registering ──not permitted──▶ failed    any ──client closed──▶ failed    any ──close()──▶ closed
 * ```
 *
 * Guaranteed: it comes back by itself after an outage of any length, a revoked lease, a key deleted by hand, a wiped
 * etcd. After a `close()` that reached etcd it never comes back; after one that could not, the key is left to its lease
 * and never renewed, or, if others live on that lease, deleted as soon as etcd can be asked. No write of it lands over
 * somebody else's newer one: two objects on one key never fight for ever, the one that was replaced waits. No listener,
 * and no promise that is not awaited, can end the process.
 *
 * Not guaranteed: with `lease: "shared"`, that a write which was on its way at `close()` does not land after it; it is
 * deleted about half a second later. That the key is gone at the TTL when the process dies. A leader change in etcd
 * gives a lease its whole TTL again, so the TTL is a minimum. Nor that the service is reachable, or that it serves:
 * that is what `health` is for.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before it was in the list or `passive`,
 * `PermissionDeniedError`, `UnauthenticatedError`, `RequestRefusedError` and `ConflictError` with `onConflict:
 * "error"`; at any time `ClientClosedError`. Everything else emits `warning` and is retried for ever, after growing,
 * random pauses of at most 5 s. A missing role, user or password that is mended on the server is retried so too, with
 * pauses that grow to 30 s; `lastError` says what is missing.
 */
export class ServiceRegister extends Notifier<ServiceRegisterEvents> implements AsyncDisposable {
  static {
    showAs(ServiceRegister, "ServiceRegister", (it) => ({ key: it.key, status: it.status }));
  }

  readonly key: string;
  /**
   * Resolves at the first registration, however long that takes; rejects when it cannot come to it: not permitted,
   * `onConflict: "error"`, closed. It may be left unused.
   */
  readonly ready: Promise<void>;
  readonly #options: ResolvedRegister;
  readonly #client: RecipeClient;
  readonly #runtime: Runtime;
  readonly #desired: DesiredRegistration;
  readonly #owned: OwnedKey;
  readonly #life: RegistrationLife;
  readonly #closing = new AbortController();
  readonly #wake = new Wake();
  readonly #running: Promise<void>;
  readonly #isOneTooMany: boolean;
  /** Undefined until the first check has answered. */
  #healthy: boolean | undefined;
  #withdrawing = false;
  /** Of the value that was sent last. */
  #sentVersion = 0;
  /** Takes off what listens to the lease: a shared one goes on without this registration. */
  #unwatchLease = () => {};
  /** After a failure: resolves when nothing is left. */
  #gone: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Starts to register at once, in the background.
   *
   * @param key where the service stands, for instance `/publictest/pipeline/m1`; at most 65536 bytes
   * @param address how it is reached, for instance `10.0.0.1:8080`
   * @param ttlSeconds how long the key outlives a dead process, in whole seconds, 1 to 9000000000
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(key: string, address: string, ttlSeconds: number, options: ServiceRegisterOptions = {}) {
    const resolved = resolveRegister(key, address, ttlSeconds, options);
    const client = recipeClient(resolved.client);
    const { etcd } = client;
    const runtime = runtimeOf(etcd);
    super(runtime.clock);
    this.#options = resolved;
    this.#client = client;
    this.#runtime = runtime;
    const { lease, onConflict } = this.#options;
    const leases =
      lease === "shared"
        ? SharedLeases.of(etcd, ttlSeconds).join("ServiceRegister", key)
        : new OwnLeases(etcd, ttlSeconds);
    this.#isOneTooMany = leases instanceof OwnLeases && leases.isOneTooMany;
    this.key = key;
    this.#desired = new DesiredRegistration(this.#options.format, this.#options.registration);
    this.#owned = new OwnedKey(etcd, key, leases);
    this.#life = new RegistrationLife({
      key,
      onConflict,
      desired: this.#desired,
      tell: (name, ...args) => this.notify(name, ...args),
    });
    this.ready = this.#life.ready;
    this.#healthy = this.#options.health === undefined ? true : undefined;
    this.#running = this.#run();
  }

  get status(): RegisterStatus {
    return this.#life.status;
  }

  /** Why it is not registered at the moment, if something went wrong. */
  get lastError(): Error | undefined {
    return this.#life.lastError;
  }

  /**
   * Changes what the service says of itself; what is left out stays, and `metadata` is replaced whole. Resolves when
   * this value, or a newer one, stands in etcd, also if that is after an outage. Updates that come faster than etcd
   * takes them become one write. While the registration is passive it waits. One that etcd refuses, such as metadata
   * beyond its limit of 1.5 MiB, changes nothing: the value before it stays.
   *
   * @param options an aborted `signal` ends the wait, not the update
   * @throws InvalidOptionError for what the format cannot carry; RequestRefusedError; ClientClosedError after
   *   `close()`; the failure after `failed`; `signal.reason`
   */
  update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const updated = this.#update(update, options);
    // One that is not awaited ends no process when this is closed.
    updated.catch(() => {});
    return updated;
  }

  async #update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const { signal } = resolveWait("ServiceRegister", options);
    const resolved = resolveUpdate("ServiceRegister", this.#options.format, update);
    signal?.throwIfAborted();
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    this.#desired.update(resolved);
    const written = this.#desired.whenWritten();
    this.#wake.set();
    await abortable(written, signal);
  }

  /**
   * Leaves the list: marks the service as draining and waits `drainMs`, then deletes the key if it is its own and
   * revokes the lease; a shared lease, if it was the last one on it. A plain registration cannot say that it drains:
   * its key is deleted first, the wait comes after. One that is not in the list does not wait. When etcd is out of
   * reach this takes, besides the wait, 5 s or the TTL at most, whichever is shorter, and the key dies with its lease,
   * or is deleted later if the lease is shared. What goes wrong is a `warning`. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("ServiceRegister.close", options);
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Brings etcd to what is desired, again and again: after each wake-up, after each failure. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const backoff = new Backoff(this.#runtime, { initialMs: 100 });
    // Nothing may be told before the caller had a chance to listen.
    await null;
    if (signal.aborted) return;
    if (this.#isOneTooMany) this.notify("warning", new Error(tooManyLeases));
    void this.#followKey(signal);
    this.#followHealth(signal);
    while (!signal.aborted) {
      try {
        await this.#reconcile(signal);
        backoff.succeeded();
        await this.#wake.wait(this.#runtime.clock, LOOK_AGAIN_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RequestRefusedError && this.#desired.refused(this.#sentVersion, error)) {
          this.notify("warning", error);
          continue;
        }
        if (endsRetries(error, this.#life.hasWorked)) {
          this.#fail(error);
          return;
        }
        this.#life.noteFailure(asError(error));
        await backoff.wait(signal, { cause: error }).catch(() => {});
      }
    }
  }

  /** Looks at each change of the key. What is seen late, or not at all, the loop finds by itself. */
  async #followKey(signal: AbortSignal): Promise<void> {
    const steps = followRange(this.#client.etcd, this.key, {
      signal,
      endsAfter: (error) => endsRetries(error, this.#life.hasWorked),
      // A closed client loses the lease next: that is no loss any more.
      onFailed: (error) => this.#fail(error),
      onWarning: (error) => {
        // It is followed again when that is mended. The loop finds out what it means for the key.
        this.#life.noteFailure(error);
        this.#wake.set();
      },
    });
    try {
      for await (const { batch, now } of steps) this.#keyChanged(now.get(this.key), batch);
    } catch (error) {
      this.#fail(error);
    }
  }

  #followHealth(signal: AbortSignal): void {
    const { health, healthEveryMs } = this.#options;
    if (!health) return;
    const onResult = (healthy: boolean, error?: Error) => {
      if (error) this.#life.noteFailure(error);
      if (healthy === this.#healthy) return;
      this.#healthy = healthy;
      this.#wake.set();
    };
    void checkHealth({ check: health, everyMs: healthEveryMs, clock: this.#runtime.clock, onResult }, signal);
  }

  #keyChanged(kv: KeyValue | undefined, batch: MirrorBatch): void {
    const { placedRevision } = this.#life;
    if (this.#closing.signal.aborted || kv?.modRevision === placedRevision) return;
    // The mirror has not come to our own write yet. Revisions compare within one history only.
    if (batch.type !== "resynced" && batch.revision < placedRevision) return;
    // Unhealthy, or so a moment ago: it may be our own delete, seen before its answer.
    if (!kv && this.#healthy && !this.#withdrawing) this.#life.vanished();
    this.#wake.set();
  }

  async #reconcile(signal: AbortSignal): Promise<void> {
    if (this.#healthy === undefined) return;
    if (!this.#healthy) {
      this.#withdrawing = true;
      try {
        await this.#owned.withdraw(signal);
        this.#life.stepAside();
      } finally {
        this.#withdrawing = false;
      }
      return;
    }
    const { version, text } = this.#desired;
    this.#sentVersion = version;
    const { losses } = this.#life;
    const claim = await this.#owned.claim(
      text,
      () => this.#life.mayTake,
      (lease) => this.#watchLease(lease),
      signal,
    );
    if (claim.outcome === "taken") {
      const end = this.#life.conflict(claim.by);
      if (end) this.#fail(end);
      return;
    }
    // Gone and put back before the mirror could tell.
    if (claim.how === "made") this.#life.vanished();
    // A listener closed it; or what was read is older than the loss that was told meanwhile, and is looked at again.
    if (signal.aborted || (claim.how === "found" && losses !== this.#life.losses)) return;
    // An update that came while this one was written has set the wake.
    this.#life.placed(claim.revision, version);
    // Updates that were held back while the one that etcd refused was looked for.
    if (this.#desired.version !== version) this.#wake.set();
  }

  #watchLease(lease: Lease): void {
    const { ttlSeconds } = this.#options;
    if (lease.ttlSeconds > ttlSeconds) {
      this.#life.noteFailure(
        new Error(`a ttl of ${ttlSeconds} s is too short for etcd, which granted ${lease.ttlSeconds} s`),
      );
    }
    this.#unwatchLease();
    this.#unwatchLease = onAbort(lease.signal, () => {
      if (this.#closing.signal.aborted || this.#owned.lease !== lease) return;
      this.#life.lost(asError(lease.signal.reason));
      this.#wake.set();
    });
  }

  #fail(cause: unknown): void {
    if (this.#closing.signal.aborted) return;
    const error = asError(cause);
    this.#stop(error);
    this.#gone = this.#letGo(error);
    this.#life.fail(error);
  }

  async #letGo(error: Error): Promise<void> {
    // A client that is being closed revokes its leases itself, and waits for that; what it does not find it cannot
    // revoke.
    if (error instanceof ClientClosedError) this.#owned.forget();
    else {
      const leaving = timed(this.#runtime.clock, `leaving ${this.key}`, { timeoutMs: this.#limitMs }, ({ signal }) =>
        this.#owned.leave(signal),
      );
      await leaving.catch((failure) => debug("%s: %s", this.key, asError(failure).message));
    }
    await this.#client.release();
  }

  /** Nothing is written any more, and nothing is told of the lease. */
  #stop(error: Error): void {
    this.#closing.abort(error);
    this.#owned.ending();
    this.#unwatchLease();
  }

  /** How long etcd may take when this ends. */
  get #limitMs(): number {
    return closeLimitMs(this.#options.ttlSeconds);
  }

  async #close(drainMs: number): Promise<void> {
    const error = new ClientClosedError(`the registration of ${this.key} was closed`);
    this.#stop(error);
    this.#life.giveUp(() => error);
    await this.#running;
    if (this.#gone) await this.#gone;
    else {
      await this.#leave(drainMs);
      await this.#client.release();
    }
    this.#life.closed();
  }

  async #leave(drainMs: number): Promise<void> {
    const { format } = this.#options;
    await leave({
      owned: this.#owned,
      drainingTexts: format === "plain" ? [] : this.#desired.drainingTexts(),
      // Readers may still have it in their lists after an outage, too.
      drainMs: this.#life.isListed ? drainMs : 0,
      limitMs: this.#limitMs,
      clock: this.#runtime.clock,
      onWarning: (error) => this.notify("warning", error),
    });
  }
}
