import { InvalidOptionError, type TracedMessage, type TracingChannelMessages } from "../../src/index.ts";
import { shown, systemClock } from "../../src/internal/index.ts";
import { LabelValues } from "./label-values.ts";
import { LeaseMargins } from "./lease-margins.ts";
import type { GaugeValue, Metric, MetricLabels } from "./metric.ts";
import { metrics } from "./metrics.ts";
import { MirrorStates } from "./mirror-states.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Where measurements go. Both are called within the code that is measured, so they must be quick. */
export interface MetricSink {
  /**
   * A counter goes up by `value`. By 0 at first where labels are known before anything is counted: a counter that
   * begins with 1 has no increase that a monitor could see.
   */
  add(metric: Metric, value: number, labels: MetricLabels): void;
  /** A histogram gets a value, in the metric's unit. */
  record(metric: Metric, value: number, labels: MetricLabels): void;
}

/** Measurements that go on until `close()`. */
export interface Measuring {
  /**
   * What a gauge is now. Mirrors and leases that were there before are known from their next change, or renewal, on.
   */
  read(gauge: Metric): readonly GaugeValue[];
  /** Calling it again is harmless. */
  close(): void;
}

/** A key has none. */
const NO_PREFIX = "(key)";

/**
 * Measures what this process does, by its diagnostics channels, for metrics of your own: all that is in
 * `allMetrics`. `etcd-recipes/metrics` and `etcd-recipes/otel` are made of it.
 *
 * Guaranteed: labels have few values. No key, no id, no address is one; of prefixes, queues and elections the first
 * hundred of the process have their own name, and all others are `other`.
 *
 * @throws InvalidOptionError
 */
export function measure(sink: MetricSink): Measuring {
  if (typeof sink?.add !== "function" || typeof sink.record !== "function") {
    throw new InvalidOptionError("measure", "sink", `must have add() and record(), not be ${shown(sink)}`);
  }
  const on = new Subscriptions();
  const prefixes = new LabelValues((prefix) => {
    for (const reason of ["first", "compacted", "history-lost"]) sink.add(metrics.relists, 0, { prefix, reason });
    for (const event of ["ejected", "readmitted"]) sink.add(metrics.ejections, 0, { prefix, event });
    sink.add(metrics.resumptions, 0, { prefix });
    sink.add(metrics.removalsHeld, 0, { prefix });
  });
  const queues = new LabelValues();
  const elections = new LabelValues((election) => {
    for (const event of ["elected", "lost", "resigned"]) sink.add(metrics.elections, 0, { election, event });
  });
  const leases = new LeaseMargins(systemClock);
  const mirrors = new MirrorStates(systemClock);
  const lags = new Map<string, number>();
  const waiting = new Map<number, number>();
  const inHand = new Map<string, number>();
  const prefixOf = ({ prefix }: { readonly prefix?: string | undefined }) => prefixes.of(prefix ?? NO_PREFIX);

  for (const how of ["revoked", "expired", "lost"]) sink.add(metrics.leasesEnded, 0, { how });

  const time = <Name extends keyof TracingChannelMessages & string>(
    name: Name,
    metric: Metric,
    labelsOf: (message: TracingChannelMessages[Name]) => MetricLabels,
  ) => on.onEnd(name, (message) => sink.record(metric, (message.durationMs ?? 0) / 1_000, labelsOf(message)));

  time("etcd-recipes:call", metrics.callDuration, (message) => ({
    method: message.method,
    outcome: outcomeOf(message),
  }));
  time("etcd-recipes:dial", metrics.dialDuration, (message) => ({ outcome: outcomeOf(message) }));
  time("etcd-recipes:lock", metrics.lockWait, (message) => ({ outcome: outcomeOf(message) }));
  time("etcd-recipes:service-call", metrics.serviceCallDuration, (message) => ({
    prefix: prefixOf(message),
    outcome: outcomeOf(message),
  }));
  time("etcd-recipes:service-attempt", metrics.serviceAttemptDuration, (message) => ({
    prefix: prefixOf(message),
    outcome: outcomeOf(message),
  }));

  const known = new WeakSet<object>();
  const count = (queue: string, more: number) => inHand.set(queue, (inHand.get(queue) ?? 0) + more);
  on.onStart("etcd-recipes:job", (message) => {
    known.add(message);
    count(queues.of(message.queue), 1);
  });
  on.onEnd("etcd-recipes:job", (message) => {
    const queue = queues.of(message.queue);
    // One that was in hand before this began was never counted.
    if (known.has(message)) count(queue, -1);
    sink.record(metrics.jobDuration, (message.durationMs ?? 0) / 1_000, { queue, outcome: message.outcome ?? "lost" });
  });
  on.onEnd("etcd-recipes:enqueue", ({ queue, jobs, error }) => {
    if (error === undefined) sink.add(metrics.jobsEnqueued, jobs, { queue: queues.of(queue) });
  });

  on.on("etcd-recipes:lease-renewed", (message) => {
    leases.renewed(message);
    sink.record(metrics.leaseRenewal, message.answerMs / 1_000, {});
  });
  on.on("etcd-recipes:lease-ended", (message) => {
    leases.ended(message);
    sink.add(metrics.leasesEnded, 1, { how: message.how });
  });
  on.on("etcd-recipes:watch-batch", (message) => {
    const prefix = prefixOf(message);
    if (message.events > 0) sink.add(metrics.watchEvents, message.events, { prefix });
    lags.set(prefix, message.lagRevisions);
  });
  on.on("etcd-recipes:resumption", (message) => sink.add(metrics.resumptions, 1, { prefix: prefixOf(message) }));
  on.on("etcd-recipes:relist", (message) =>
    sink.add(metrics.relists, 1, { prefix: prefixOf(message), reason: message.reason }),
  );
  on.on("etcd-recipes:mirror", (message) => {
    if (message.prefix === undefined) return;
    const prefix = prefixOf(message);
    const wasLast = mirrors.changed(message, prefix);
    // A watch of the same prefix says it anew by its next batch; without this, what is over stays behind for ever.
    if (wasLast) lags.delete(prefix);
  });
  on.on("etcd-recipes:election", ({ name, event }) =>
    sink.add(metrics.elections, 1, { election: elections.of(name), event }),
  );
  on.on("etcd-recipes:ejection", (message) =>
    sink.add(metrics.ejections, 1, { prefix: prefixOf(message), event: message.event }),
  );
  on.on("etcd-recipes:removals-held", (message) =>
    sink.add(metrics.removalsHeld, message.held, { prefix: prefixOf(message) }),
  );
  on.on("etcd-recipes:admission", (message) => {
    if (message.waiting > 0) waiting.set(message.client, message.waiting);
    else waiting.delete(message.client);
  });

  const gauges = new Map<Metric, () => readonly GaugeValue[]>([
    [metrics.jobsInHand, () => byLabel(inHand, "queue")],
    [metrics.leasesHeld, () => [{ value: leases.size, labels: {} }]],
    [metrics.leaseMargin, () => (leases.leastMs === undefined ? [] : [{ value: leases.leastMs / 1_000, labels: {} }])],
    [metrics.listSize, () => mirrors.sizes],
    [metrics.listStale, () => mirrors.staleSeconds],
    [metrics.watchLag, () => byLabel(lags, "prefix")],
    [metrics.admissionWaiting, () => [{ value: sum(waiting.values()), labels: {} }]],
  ]);
  return { read: (gauge) => gauges.get(gauge)?.() ?? [], close: () => on.end() };
}

/** `ok`, the code of an EtcdError, or `error` for anything else, such as the reason of an abort. */
function outcomeOf({ error, code }: TracedMessage): string {
  return code ?? (error === undefined ? "ok" : "error");
}

function byLabel(values: ReadonlyMap<string, number>, label: string): GaugeValue[] {
  return [...values].map(([name, value]) => ({ value, labels: { [label]: name } }));
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
