// Leases of keys: kept alive one after the other, for one key or shared; or detached, so that keys outlive the process.
export { DetachedLease } from "./detached-lease.ts";
export { DetachedLeases } from "./detached-leases.ts";
export type { KeyLeases } from "./key-leases.ts";
export { LeaseLine } from "./lease-line.ts";
export { OwnLeases } from "./own-leases.ts";
export { SharedLeases } from "./shared-leases.ts";
