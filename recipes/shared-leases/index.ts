export type { KeyLeases } from "./key-leases.ts";
export { LeaseLine } from "./lease-line.ts";
export { OwnLeases } from "./own-leases.ts";
export { SharedLeases } from "./shared-leases.ts";
