import { allMetrics, InvalidOptionError, type Measuring, type Metric, measure } from "../../recipes/index.ts";
import { metricName } from "./metric-name.ts";
import { bucketsOf, kindOf, type MetricsOptions } from "./options.ts";

type Labels = Record<string, string>;

interface Config {
  name: string;
  help: string;
  labelNames: string[];
  registers: never[];
}

/** What is used of the package prom-client: its module as it is fits. */
export interface PromClient {
  readonly register: PromRegistry;
  Counter: new (config: Config) => { inc(labels: Labels, value: number): void };
  Histogram: new (config: Config & { buckets: number[] }) => { observe(labels: Labels, value: number): void };
  Gauge: new (
    config: Config & { collect(): void },
  ) => { set(labels: Labels, value: number): void; reset(): void; remove(): void };
}

/** What is used of a registry of prom-client. */
export interface PromRegistry {
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

export interface PromClientMetricsOptions extends MetricsOptions {
  /** The module: `import * as client from "prom-client"`, or `require("prom-client")`. */
  client: PromClient;
  /** Where the metrics are. @default client.register */
  registry?: PromRegistry | undefined;
}

/** Metrics in a registry of prom-client. */
export interface PromClientMetrics extends Disposable {
  /** Ends the measurements and takes the metrics out of the registry. Calling it again is harmless. */
  close(): void;
}

/**
 * Measures from here on, into a registry of prom-client, under the same names as `startMetrics()`.
 *
 * ```ts
 * import * as client from "prom-client";
 * startPromClientMetrics({ client, registry });
 * ```
 *
 * @throws InvalidOptionError, also when the registry has these metrics already
 */
export function startPromClientMetrics(options: PromClientMetricsOptions): PromClientMetrics {
  const method = "startPromClientMetrics";
  const buckets = bucketsOf(method, options, ["client", "registry"]);
  const client = checkClient(method, options.client);
  const { registry = client.register } = options;
  if (typeof registry?.getSingleMetric !== "function") {
    throw new InvalidOptionError(method, "registry", `must be a registry of prom-client, not ${kindOf(registry)}`);
  }
  const taken = allMetrics.find((metric) => registry.getSingleMetric(metricName(metric)) !== undefined);
  if (taken) throw new InvalidOptionError(method, "registry", `has ${metricName(taken)} already`);
  const sinks = new Map<Metric, (labels: Labels, value: number) => void>();
  // All of them are there before the first measurement.
  const read = (gauge: Metric) => measuring.read(gauge);
  for (const metric of allMetrics) makeMetric(metric, { client, registry, buckets, read, sinks });
  const measuring = measure({
    add: (metric, value, labels) => sinks.get(metric)?.(labels, value),
    record: (metric, value, labels) => sinks.get(metric)?.(labels, value),
  });
  const close = () => {
    measuring.close();
    if (sinks.size === 0) return;
    sinks.clear();
    for (const metric of allMetrics) registry.removeSingleMetric(metricName(metric));
  };
  return { close, [Symbol.dispose]: close };
}

interface Parts {
  readonly client: PromClient;
  readonly registry: PromRegistry;
  readonly buckets: readonly number[];
  readonly read: Measuring["read"];
  readonly sinks: Map<Metric, (labels: Labels, value: number) => void>;
}

function makeMetric(metric: Metric, { client, registry, buckets, read, sinks }: Parts): void {
  const { description, labels, kind } = metric;
  const registers = [registry as never];
  const config = { name: metricName(metric), help: description, labelNames: [...labels], registers };
  if (kind === "counter") {
    const counter = new client.Counter(config);
    sinks.set(metric, (given, value) => counter.inc(given, value));
  } else if (kind === "histogram") {
    const histogram = new client.Histogram({ ...config, buckets: [...buckets] });
    sinks.set(metric, (given, value) => histogram.observe(given, value));
  } else {
    const gauge = new client.Gauge({
      ...config,
      collect() {
        gauge.reset();
        // A reset one without labels is 0, not gone: a margin of 0 s of no lease would be an alarm.
        if (labels.length === 0) gauge.remove();
        for (const { value, labels: given } of read(metric)) gauge.set({ ...given }, value);
      },
    });
  }
}

function checkClient(method: string, client: unknown): PromClient {
  const parts = client as Partial<Record<keyof PromClient, unknown>> | null | undefined;
  if (typeof parts?.Counter === "function" && typeof parts.Histogram === "function") return client as PromClient;
  const how = 'npm install prom-client, and hand its module in: import * as client from "prom-client"';
  throw new InvalidOptionError(method, "client", `must be the module prom-client, not ${kindOf(client)}: ${how}`);
}
