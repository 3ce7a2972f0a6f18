import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import { allMetrics, type Metric, measure } from "../../recipes/index.ts";

/** Seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Begins to measure. @returns what ends it */
export function startMeasuring(meter: Meter): () => void {
  const counters = new Map<Metric, Counter>();
  const histograms = new Map<Metric, Histogram>();
  const ends: (() => void)[] = [];
  for (const metric of allMetrics) {
    const { kind, description, unit = "1" } = metric;
    const name = `etcd_recipes.${metric.name}`;
    if (kind === "counter") counters.set(metric, meter.createCounter(name, { description, unit }));
    else if (kind === "histogram") {
      const advice = { explicitBucketBoundaries: BUCKETS };
      histograms.set(metric, meter.createHistogram(name, { description, unit, advice }));
    } else {
      const gauge = meter.createObservableGauge(name, { description, unit });
      const observe: Parameters<typeof gauge.addCallback>[0] = (result) => {
        for (const { value, labels } of measuring.read(metric)) result.observe(value, { ...labels });
      };
      gauge.addCallback(observe);
      ends.push(() => gauge.removeCallback(observe));
    }
  }
  // All of them are there before the first measurement.
  const measuring = measure({
    add: (metric, value, labels) => counters.get(metric)?.add(value, { ...labels }),
    record: (metric, value, labels) => histograms.get(metric)?.record(value, { ...labels }),
  });
  ends.push(() => measuring.close());
  return () => {
    for (const end of ends.splice(0)) end();
  };
}
