import { runtimeOf, showAs } from "../../src/internal/index.ts";
import { Notifier, recipeClient } from "../recipe/index.ts";
import type { CloseOptions, RegisterStatus, ServiceRegisterEvents, ServiceUpdate } from "../registration/index.ts";
import { resolveClose } from "../registration/internal.ts";
import { LoneRegistration } from "./lone-registration.ts";
import { resolveRegister, type ServiceRegisterOptions } from "./options.ts";

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
 *        │ another owner's key,            ▼                                   │
 *        │ health says no               recovering ──new lease, key put────────┤
 *        ▼                                 │ another owner's key, health: no   │
 *     passive ◀────────────────────────────┘                                   │
 *        └──key free, health: yes──────────────────────────────────────────────┘
 *   registering ──not permitted──▶ failed    any ──client closed──▶ failed    any ──close()──▶ closed
 * ```
 *
 * Guaranteed: it comes back by itself after an outage of any length, a revoked lease, a key deleted by hand, a wiped
 * etcd. After a `close()` that reached etcd it never comes back; after one that could not, the key is left to its lease
 * and never renewed, or, if others live on that lease, deleted as soon as etcd can be asked. No write of it lands over
 * another owner's newer one: two objects on one key never fight for ever, the one that was replaced waits. No listener,
 * and no promise that is not awaited, can end the process.
 *
 * Not guaranteed: with `lease: "shared"`, that a write which was on its way at `close()` does not land after it; it is
 * deleted about half a second later. That the key is gone at the TTL when the process dies. A leader change in etcd
 * gives a lease its whole TTL again, so the TTL is a minimum. Nor that the service is reachable, or that it serves:
 * that is what `health` is for.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before it was in the list, or waited for another owner,
 * `PermissionDeniedError`, `UnauthenticatedError`, `RequestRefusedError` and `ConflictError` with `onConflict:
 * "error"`; at any time `ClientClosedError`. Everything else emits `warning` and is retried for ever, after growing,
 * random pauses of at most 5 s. A missing role, user or password that is corrected on the server is retried so too,
 * with pauses that grow to 30 s; `lastError` says what is missing.
 */
export class ServiceRegister extends Notifier<ServiceRegisterEvents> implements AsyncDisposable {
  static {
    showAs(ServiceRegister, "ServiceRegister", (it) => ({ key: it.key, status: it.status }));
  }

  /** Where it stands; with the format `go-zero` the key of the service and a number. */
  readonly key: string;
  /**
   * Resolves at the first registration, however long that takes; rejects when it cannot come to it: not permitted,
   * `onConflict: "error"`, closed. It may be left unused.
   */
  readonly ready: Promise<void>;
  readonly #registration: LoneRegistration;

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
    super(runtimeOf(client.etcd).clock);
    this.key = resolved.key;
    this.#registration = new LoneRegistration(resolved, client, (name, ...args) => this.notify(name, ...args));
    this.ready = this.#registration.kept.life.ready;
  }

  get status(): RegisterStatus {
    return this.#registration.kept.life.status;
  }

  /**
   * Whether it says that it drains, by `update()`, by `close()` or because an operator asked; also before that is in
   * etcd.
   */
  get draining(): boolean {
    return this.#registration.kept.draining;
  }

  /** Why it is not registered at the moment, if something went wrong. */
  get lastError(): Error | undefined {
    return this.#registration.kept.life.lastError;
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
    return this.#registration.kept.update(update, options);
  }

  /**
   * Leaves the list: marks the service as draining and waits `drainMs`, then deletes the key if it is its own and
   * revokes the lease; a shared lease, if it was the last one on it. A plain registration cannot say that it drains:
   * its key is deleted first, the wait comes after. One that is not in the list does not wait. When etcd is out of
   * reach this takes, besides the wait, 5 s or the TTL at most, whichever is shorter, and twice that where many close
   * at once; the key dies with its lease, or is deleted later if the lease is shared. While etcd answers, a crowd
   * leaves in turn, and whole. What goes wrong is a `warning`. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("ServiceRegister.close", options);
    return this.#registration.close(drainMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
