export type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
export { type GrantLeaseOptions, Leases } from "./leases.ts";
