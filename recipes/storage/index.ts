export type { OnDelete, OnPut, StoragePutOptions, StorageTouchOptions, StorageWatchOptions } from "./options.ts";
export { Storage } from "./storage.ts";
export type { StorageWatch, StorageWatchStatus } from "./storage-watch.ts";
