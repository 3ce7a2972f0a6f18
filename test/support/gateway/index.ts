// etcd past our client: its JSON gateway and its metrics, over HTTP.
export { Gateway } from "./gateway.ts";
export { deletePrefix, type GetOptions, get, put } from "./keys.ts";
export { leaseRemaining, leasesOf, revokeLease } from "./leases.ts";
export { handledCalls, Metrics, requestsRefused, requestsServed, watcherCounts } from "./metrics.ts";
export type { Credentials, Secrets } from "./secrets.ts";
