export type { Lock } from "./lock.ts";
export { Mutex } from "./mutex.ts";
export type { AcquireOptions, MutexOptions, TryAcquireOptions } from "./options.ts";
