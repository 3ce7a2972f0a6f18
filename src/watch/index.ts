export type { FollowParts } from "./follow-parts.ts";
export { HubMirror } from "./hub-mirror.ts";
export { HubWatch } from "./hub-watch.ts";
export type { Mirror, MirrorOptions, MirrorStatus } from "./mirror.ts";
export type { MirrorBatch } from "./mirror-batch.ts";
export type { Watch, WatchOptions, WatchStatus } from "./watch.ts";
export { WatchHub } from "./watch-hub.ts";
