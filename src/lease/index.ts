export type { Lease, LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";
export { LeaseEngine } from "./lease-engine.ts";
export { type AdoptLeaseOptions, type GrantLeaseOptions, type LeaseRenewal, Leases } from "./leases.ts";
