import { ConflictError, type KeyValue } from "../../src/index.ts";
import { log, quietDeferred } from "../../src/internal/index.ts";
import { RegistrationLostError } from "../errors/index.ts";
import type { DrainRequest } from "../registration-format/index.ts";
import type { DesiredRegistration } from "./desired-registration.ts";
import type { RegisterStatus, ServiceRegisterEvents } from "./register-events.ts";

const debug = log("register");

/** Whose key it is. */
export interface KeyOwner {
  /** The end, by what no retry can change. `gone`: the key is known not to be there on a lease of ours. */
  fail(error: Error, gone: boolean): void;
  emit<Name extends keyof ServiceRegisterEvents & string>(name: Name, ...args: ServiceRegisterEvents[Name]): void;
}

export interface RegistrationLifeParts {
  readonly key: string;
  readonly onConflict: "replace" | "wait" | "error";
  readonly desired: DesiredRegistration;
  readonly owner: KeyOwner;
}

/** Where one registration is in its life, and what it emits. Its state is final before any event. */
export class RegistrationLife {
  readonly #parts: RegistrationLifeParts;
  readonly #ready = quietDeferred<void>();
  /** `ready` is settled. */
  #decided = false;
  #status: RegisterStatus = "registering";
  #registeredOnce = false;
  #rival: KeyValue | undefined;
  #lastError: Error | undefined;

  constructor(parts: RegistrationLifeParts) {
    this.#parts = parts;
  }

  /** Resolves at the first registration. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get status(): RegisterStatus {
    return this.#status;
  }

  get lastError(): Error | undefined {
    return this.#lastError;
  }

  /** Whether readers have it in their lists, or had it before an outage. */
  get isListed(): boolean {
    return this.#status === "registered" || this.#status === "recovering";
  }

  /** Only the first registration may take another owner's key: two owners never fight for ever. */
  get mayTake(): boolean {
    return this.#parts.onConflict === "replace" && !this.#registeredOnce;
  }

  /** Whether another owner's key is the end. */
  get endsByConflict(): boolean {
    return this.#parts.onConflict === "error" && !this.#registeredOnce;
  }

  /** Whether etcd has let it register, or wait for its turn, before: what it refuses later is waited out. */
  get hasWorked(): boolean {
    return this.#registeredOnce || this.#rival !== undefined;
  }

  /** It stood there, if only for a moment: from now on it replaces no owner. */
  wasWritten(): void {
    this.#registeredOnce = true;
  }

  placed(revision: number, version: number): void {
    this.#registeredOnce = true;
    this.#rival = undefined;
    this.#lastError = undefined;
    this.#parts.desired.written(version);
    this.#decided = true;
    this.#ready.resolve();
    if (this.#status === "registered") return;
    this.#setStatus("registered");
    this.#parts.owner.emit("registered", { key: this.#parts.key, revision });
  }

  vanished(): void {
    if (this.#status === "registered") this.lost(new RegistrationLostError(`${this.#parts.key} is gone from etcd`));
  }

  lost(error: Error, next: "recovering" | "passive" = "recovering"): void {
    const had = this.#status === "registered";
    if (!had && next === "recovering") return;
    this.#lastError = error;
    this.#setStatus(next);
    if (had) this.#parts.owner.emit("lost", error);
  }

  /** Another owner has the key. @returns the error if that is the end */
  conflict(by: KeyValue): ConflictError | undefined {
    const { key } = this.#parts;
    const known = this.#rival?.createRevision === by.createRevision && this.#rival.lease === by.lease;
    const error = new ConflictError(`${key} belongs to another owner${by.lease ? `, on lease ${by.lease}` : ""}`);
    if (this.endsByConflict) return error;
    this.#rival = by;
    this.lost(error, "passive");
    if (!known) this.#parts.owner.emit("conflict", { key, owner: by });
    return undefined;
  }

  /** It drains, or no longer does, as an operator asked. */
  follow(request: DrainRequest): void {
    debug("%s: draining is %s, asked for by %s", this.#parts.key, request.draining, request.by);
    this.#parts.owner.emit("drain", request);
  }

  /** It was taken out of the list on purpose. */
  stepAside(): void {
    this.#setStatus("passive");
  }

  /** Something went wrong and is tried again; reported once for the same message. */
  warn(error: Error): void {
    const news = this.#lastError?.message !== error.message;
    this.#lastError = error;
    debug("%s: %s", this.#parts.key, error.message);
    if (news) this.#parts.owner.emit("warning", error);
  }

  /**
   * Nothing will be written any more: waiting calls reject with the reason. Most of thousands that are closed together
   * have none.
   */
  giveUp(why: () => Error): void {
    const { desired } = this.#parts;
    if (this.#decided && !desired.isAwaited) return;
    const error = why();
    this.#decided = true;
    this.#ready.reject(error);
    desired.giveUp(error);
  }

  fail(error: Error): void {
    this.#lastError = error;
    this.giveUp(() => error);
    this.#setStatus("failed");
    this.#parts.owner.emit("failed", error);
  }

  closed(): void {
    this.#setStatus("closed");
    this.#parts.owner.emit("closed");
  }

  #setStatus(status: RegisterStatus): void {
    if (this.#status === status || this.#status === "closed" || (this.#status === "failed" && status !== "closed"))
      return;
    this.#status = status;
    debug("%s is %s", this.#parts.key, status);
    this.#parts.owner.emit("status", status);
  }
}
