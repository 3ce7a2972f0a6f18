import type { Protocol } from "../connection/index.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { PointReads, RangeCounts } from "../kv/index.ts";
import type { CloseListeners } from "./close-listeners.ts";
import type { KeySpace } from "./key-space.ts";
import type { WatchHub } from "./watch-hub.ts";

/** What a watch and a mirror are made of. */
export interface FollowParts {
  readonly hub: WatchHub;
  /** Where its keys are; that of the hub when left out. */
  readonly space?: KeySpace | undefined;
  readonly protocol: Protocol;
  readonly reads: PointReads;
  readonly counts: RangeCounts;
  readonly runtime: Runtime;
  /** Calls back when the client is closed: for those who want to follow and are not yet that far. */
  readonly closing: CloseListeners;
}
