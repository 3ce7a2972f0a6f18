import type { KeyValue } from "../../src/index.ts";
import type { CommonEvents } from "../recipe/index.ts";
import type { DrainRequest } from "../registration-format/index.ts";

/**
 * `registering`: not in the list yet. `registered`: in the list, with the newest value. `recovering`: it was, and is
 * being put back. `passive`: not in the list on purpose: another owner has the key, or `health` says no. `failed`,
 * `closed`: the end.
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
  /** The key is gone, or can no longer be proved to be there. Not emitted for what `health` or `close()` took out. */
  lost: [error: Error];
  /** Another owner has the key; this registration waits until it is free. Once for each owner. */
  conflict: [conflict: RegisterConflict];
  /**
   * An operator asked that it drains, or no longer does (`etcd-recipes drain`), and it follows: until its next
   * `update()` that says `draining`, or its end.
   */
  drain: [request: DrainRequest];
  status: [status: RegisterStatus];
  closed: [];
}
