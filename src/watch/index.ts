export { CloseListeners } from "./close-listeners.ts";
export type { FollowParts } from "./follow-parts.ts";
export { HistoryProofs } from "./history-proof.ts";
export type { Mirror, MirrorOptions, MirrorStatus } from "./mirror.ts";
export type { MirrorBatch } from "./mirror-batch.ts";
export { MultiplexedMirror } from "./multiplexed-mirror.ts";
export { MultiplexedWatch } from "./multiplexed-watch.ts";
export type { Watch, WatchOptions, WatchStatus } from "./watch.ts";
export { WatchHub } from "./watch-hub.ts";
