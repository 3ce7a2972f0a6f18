// What this process does, in numbers: by its diagnostics channels, for whatever keeps metrics.
export { type Measuring, type MetricSink, measure } from "./measure.ts";
export type { GaugeValue, Metric, MetricLabels } from "./metric.ts";
export { allMetrics } from "./metrics.ts";
