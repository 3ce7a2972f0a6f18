import type { Metric } from "./metric.ts";

const histogram = (name: string, description: string, labels: readonly string[]): Metric =>
  Object.freeze({ name, kind: "histogram", unit: "s", description, labels: Object.freeze(labels) });
const counter = (name: string, description: string, labels: readonly string[]): Metric =>
  Object.freeze({ name, kind: "counter", description, labels: Object.freeze(labels) });
const gauge = (name: string, description: string, labels: readonly string[], unit?: "s"): Metric =>
  Object.freeze({ name, kind: "gauge", unit, description, labels: Object.freeze(labels) });

/** Everything that `measure()` measures. Listed in docs/reference/observability.md. */
export const metrics = {
  callDuration: histogram("call.duration", "How long calls to etcd took, all attempts included", ["method", "outcome"]),
  dialDuration: histogram("dial.duration", "How long it took to connect to an endpoint", ["outcome"]),
  lockWait: histogram("lock.wait", "How long callers waited for a Mutex", ["outcome"]),
  jobDuration: histogram("job.duration", "How long workers had jobs in hand", ["queue", "outcome"]),
  serviceCallDuration: histogram("service.call.duration", "How long call() took, all attempts included", [
    "prefix",
    "outcome",
  ]),
  serviceAttemptDuration: histogram("service.attempt.duration", "How long one server took in call()", [
    "prefix",
    "outcome",
  ]),
  leaseRenewal: histogram("lease.renewal", "How long etcd took to answer renewals of leases", []),
  leasesEnded: counter("leases.ended", "Leases that were revoked, expired or lost", ["how"]),
  jobsEnqueued: counter("jobs.enqueued", "Jobs that were added to queues", ["queue"]),
  watchEvents: counter("watch.events", "Events that watches and mirrors got", ["prefix"]),
  relists: counter("relists", "How often mirrors read their whole range, and why", ["prefix", "reason"]),
  resumptions: counter("resumptions", "Watches and mirrors that went on where their stream had broken", ["prefix"]),
  elections: counter("elections", "Terms of this process's candidates that began or ended", ["election", "event"]),
  ejections: counter("ejections", "Servers that the outlier detection ejected or readmitted", ["prefix", "event"]),
  removalsHeld: counter("removals.held", "Services that maxDropRatio held back", ["prefix"]),
  jobsInHand: gauge("jobs.in_hand", "Jobs that workers of this process have in hand", ["queue"]),
  leasesHeld: gauge("leases.held", "Leases that this process keeps alive and has renewed", []),
  leaseMargin: gauge("lease.margin", "What is left of the lease that ends first, unless it is renewed", [], "s"),
  listSize: gauge("list.size", "How many entries the mirror of a prefix has", ["prefix"]),
  listStale: gauge(
    "list.stale",
    "Since when nothing follows the mirror of a prefix; 0 while it is live",
    ["prefix"],
    "s",
  ),
  watchLag: gauge("watch.lag_revisions", "Revisions that etcd was ahead of the last batch of a watch", ["prefix"]),
  admissionWaiting: gauge("admission.waiting", "Calls of recipes that wait because too many are under way", []),
} as const;

export const allMetrics: readonly Metric[] = Object.freeze(Object.values(metrics));
