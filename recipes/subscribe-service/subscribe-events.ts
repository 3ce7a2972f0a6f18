import type { MirrorStatus } from "../../src/index.ts";
import type { CommonEvents } from "../recipe/index.ts";
import type { ServiceChanges } from "./change-debounce.ts";
import type { Ejection } from "./outlier-detector.ts";
import type { ServiceInstance } from "./service-instance.ts";

/**
 * `connecting`: no list yet. `live`: every change comes. `stale`: etcd is out of reach, the list is the last
 * good one, or that of `snapshotFile`, see `staleForMs`. `failed`, `closed`: the end.
 */
export type SubscribeStatus = MirrorStatus;

export interface SubscribeServiceEvents<Metadata = unknown> extends CommonEvents {
  /** An instance came, or changed: then `previous` is what it was. */
  put: [instance: ServiceInstance<Metadata>, previous?: ServiceInstance<Metadata>];
  /** An instance is gone; this is what it was last. */
  delete: [last: ServiceInstance<Metadata>];
  /**
   * Once for each batch, after its puts and deletes, or later with `changeDelayMs`; the list is frozen, and the same
   * one for all listeners. Also once for the first list, however long.
   *
   * A list of more than 1 000 that no `list()` has made yet is made when it is first read, whenever that is, as it was
   * at the event. It is then a Proxy of an array: `Array.isArray()` is true and all that can be read is there, but
   * `structuredClone()` and `postMessage()` refuse it, and it is not the array that `list()` returns; give them
   * `[...list]`. To read items by index takes longer than by `for of` or a method such as `map()`.
   */
  change: [list: readonly ServiceInstance<Metadata>[], changes: ServiceChanges<Metadata>];
  /** Calls to a server failed, so it is not chosen for a while. */
  ejected: [instance: ServiceInstance<Metadata>, ejection: Ejection];
  /** It may be chosen again; if its next call fails it goes again. */
  readmitted: [instance: ServiceInstance<Metadata>];
  /** A key under the prefix cannot be read as an instance, so it is kept out of the list. A view does not emit it. */
  invalid: [key: string, error: Error];
  status: [status: SubscribeStatus];
}
