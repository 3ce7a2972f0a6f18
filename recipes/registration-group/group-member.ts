import type { EventEmitter } from "node:events";
import type { CloseOptions, RegisterStatus, ServiceRegisterEvents, ServiceUpdate } from "../registration/index.ts";

/** What one instance of a group emits: the same as a ServiceRegister. */
export type GroupMemberEvents = ServiceRegisterEvents;

/**
 * One instance of a RegistrationGroup, with the guarantees of a ServiceRegister: the key is there, with the newest
 * value, until it is closed; closed, it never comes back.
 */
export interface GroupMember extends EventEmitter<GroupMemberEvents>, AsyncDisposable {
  /** The key without the prefix of the group. */
  readonly id: string;
  readonly key: string;
  /** As of a ServiceRegister; `passive` only while another owner has the key. */
  readonly status: RegisterStatus;
  /**
   * Whether it says that it drains, by `update()`, by `close()` or because an operator asked; also before that is in
   * etcd.
   */
  readonly draining: boolean;
  /** Why it is not registered at the moment, if something went wrong. */
  readonly lastError: Error | undefined;
  /** Resolves at the first registration; rejects when it cannot come to it. It may be left unused. */
  readonly ready: Promise<void>;
  /**
   * Changes what the instance says of itself; what is left out stays, and `metadata` is replaced whole. Resolves when
   * this value, or a newer one, stands in etcd, also if that is after an outage. One that etcd refuses changes nothing.
   *
   * @param options an aborted `signal` ends the wait, not the update
   * @throws InvalidOptionError for what the format cannot carry; RequestRefusedError; ClientClosedError after
   * `close()`; the
   *   failure after `failed`; `signal.reason`
   */
  update(update: ServiceUpdate, options?: { signal?: AbortSignal | undefined }): Promise<void>;
  /**
   * Leaves the list and the group: draining, then deleted, as `ServiceRegister.close()`. The lease stays with the
   * others. When etcd is out of reach this takes, besides the wait, 5 s or the TTL at most, whichever is shorter, and
   * the key is deleted as soon as etcd can be asked, as long as the group lives. Calling it again is harmless.
   *
   * @throws InvalidOptionError
   */
  close(options?: CloseOptions): Promise<void>;
}
