import { ClientClosedError } from "../../src/index.ts";
import { abortable, sleep } from "../../src/internal/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { DesiredRegistration } from "./desired-registration.ts";
import { KeyKeeper, type KeySurroundings } from "./key-keeper.ts";
import { type KeyOwner, RegistrationLife } from "./registration-life.ts";
import { type ResolvedRegistration, resolveUpdate, resolveWait, type ServiceUpdate } from "./registration-options.ts";

/**
 * `close()` gives etcd no longer than this from its turn on, and never longer than the TTL: by then the key is gone
 * anyway.
 */
const LONGEST_CLOSE_MS = 5_000;

/** How long etcd may take when a registration ends. */
export function closeLimitMs(ttlSeconds: number): number {
  return Math.min(LONGEST_CLOSE_MS, ttlSeconds * 1_000);
}

export interface RegisteredKeyParts {
  /** Of which kind, for messages: `ServiceRegister`. */
  readonly what: string;
  readonly key: string;
  readonly resolved: ResolvedRegistration;
  readonly around: KeySurroundings;
  readonly owner: KeyOwner;
}

export interface LeaveOptions {
  readonly drainMs: number;
  /** How long etcd may take in all; the wait while draining does not count. */
  readonly limitMs: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Takes it out of etcd. */
  end(withinMs: number): Promise<void>;
}

/** One key that is registered: what should stand there, its life, how it is updated, and how it leaves. */
export class RegisteredKey {
  readonly keeper: KeyKeeper;
  readonly life: RegistrationLife;
  readonly #what: string;
  readonly #key: string;
  readonly #format: RegistrationFormat;
  readonly #around: KeySurroundings;
  readonly #desired: DesiredRegistration;
  /** Why it takes no updates any more. */
  #ended: (() => Error) | undefined;

  constructor({ what, key, resolved, around, owner }: RegisteredKeyParts) {
    const { format, registration, onConflict } = resolved;
    const desired = new DesiredRegistration(format, registration, key);
    this.#what = what;
    this.#key = key;
    this.#format = format;
    this.#around = around;
    this.#desired = desired;
    this.life = new RegistrationLife({ key, onConflict, desired, owner });
    this.keeper = new KeyKeeper({ key, desired, life: this.life, owner, around });
  }

  /** Whether it is in the list, and its format can say that it drains. */
  get canDrain(): boolean {
    return this.life.isListed && this.#desired.canDrain;
  }

  get draining(): boolean {
    return this.#desired.draining;
  }

  update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const updated = this.#update(update, options);
    // One that is not awaited ends no process when this is closed.
    updated.catch(() => {});
    return updated;
  }

  /** It takes no updates any more, and each wait ends with the reason. */
  giveUp(why: () => Error): void {
    this.#ended ??= why;
    this.life.giveUp(why);
  }

  /**
   * Marks it as draining where its format can say so, and waits; then `end` takes it away. In the order that loses the
   * fewest requests.
   */
  async leave({ drainMs, limitMs, signal, end }: LeaveOptions): Promise<void> {
    const { clock } = this.#around;
    const { isListed } = this.life;
    if (drainMs > 0 && this.canDrain) {
      await this.keeper.reach("draining", limitMs / 2);
      await sleep(clock, drainMs, signal).catch(() => {});
      await end(limitMs / 2);
      return;
    }
    await end(limitMs);
    if (drainMs > 0 && isListed) await sleep(clock, drainMs, signal).catch(() => {});
  }

  closedError(): ClientClosedError {
    return new ClientClosedError(`the registration of ${this.#key} was closed`);
  }

  async #update(update: ServiceUpdate, options: { signal?: AbortSignal | undefined }): Promise<void> {
    const { signal } = resolveWait(this.#what, options);
    const resolved = resolveUpdate(this.#what, this.#format, update, {
      key: this.#key,
      registration: this.#desired.newest,
    });
    signal?.throwIfAborted();
    if (this.#ended) throw this.#ended();
    this.#desired.update(resolved);
    const written = this.#desired.whenWritten();
    this.keeper.changed();
    // Not awaited here: while it waits it would hold the update.
    return abortable(written, signal);
  }
}
