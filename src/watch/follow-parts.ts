import type { Protocol } from "../connection/index.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { PointReads, RangeCounts } from "../kv/index.ts";
import type { WatchHub } from "./watch-hub.ts";

/** What a watch and a mirror are made of. */
export interface FollowParts {
  readonly hub: WatchHub;
  readonly protocol: Protocol;
  readonly reads: PointReads;
  readonly counts: RangeCounts;
  readonly runtime: Runtime;
}
