import { allMetrics, measure } from "../../recipes/index.ts";
import { metricName } from "./metric-name.ts";
import { bucketsOf, type MetricsOptions } from "./options.ts";
import { Series } from "./series.ts";

/** Metrics as the text that Prometheus reads. */
export interface TextMetrics extends Disposable {
  /** For the header `content-type` of the answer. */
  readonly contentType: string;
  /** All metrics as they are now, in the text format of Prometheus, version 0.0.4. */
  text(): string;
  /** Ends the measurements; `text()` stays as it is. Calling it again is harmless. */
  close(): void;
}

/**
 * Measures from here on, for an answer to `GET /metrics`.
 *
 * ```ts
 * const metrics = startMetrics();
 * http.createServer((_, response) => {
 *   response.setHeader("content-type", metrics.contentType).end(metrics.text());
 * });
 * ```
 *
 * @throws InvalidOptionError
 */
export function startMetrics(options: MetricsOptions = {}): TextMetrics {
  const buckets = bucketsOf("startMetrics", options);
  const series = new Map(allMetrics.map((metric) => [metric, new Series(metric, metricName(metric), buckets)]));
  const measuring = measure({
    add: (metric, value, labels) => series.get(metric)?.add(value, labels),
    record: (metric, value, labels) => series.get(metric)?.record(value, labels),
  });
  const text = () => {
    for (const [metric, each] of series) if (metric.kind === "gauge") each.replace(measuring.read(metric));
    return [...series.values()].map((each) => each.text()).join("");
  };
  let last: string | undefined;
  const close = () => {
    last ??= text();
    measuring.close();
  };
  return {
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    text: () => last ?? text(),
    close,
    [Symbol.dispose]: close,
  };
}
