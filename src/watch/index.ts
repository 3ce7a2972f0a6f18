export { Mirror, type MirrorOptions, type MirrorStatus } from "./mirror.ts";
export type { MirrorBatch } from "./mirror-batch.ts";
export { Watch, type WatchOptions } from "./watch.ts";
export { WatchHub } from "./watch-hub.ts";
