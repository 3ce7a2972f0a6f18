export type { Lease, LeaseTimeToLive } from "./lease.ts";
export { type GrantLeaseOptions, Leases } from "./leases.ts";
