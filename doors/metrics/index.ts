/// <reference types="node" preserve="true" />
// The door `etcd-recipes/metrics`: what the diagnostics channels say, as metrics for Prometheus.
export type { MetricsOptions } from "./options.ts";
export {
  type PromClient,
  type PromClientMetrics,
  type PromClientMetricsOptions,
  type PromRegistry,
  startPromClientMetrics,
} from "./prom-client.ts";
export { startMetrics, type TextMetrics } from "./text-metrics.ts";
