/** Of a label there are few values, whatever a program does: see `LabelValues`. */
export type MetricLabels = Readonly<Record<string, string>>;

/** What is measured, under a name that Prometheus and OpenTelemetry each write in their own way. */
export interface Metric {
  /** For instance `call.duration`. */
  readonly name: string;
  /** A counter only goes up; a histogram counts values by size; a gauge is what it is when it is read. */
  readonly kind: "counter" | "histogram" | "gauge";
  /** `s` for seconds; undefined: it counts. */
  readonly unit?: "s" | undefined;
  readonly description: string;
  readonly labels: readonly string[];
}

/** What a gauge is, with one set of labels. */
export interface GaugeValue {
  readonly value: number;
  readonly labels: MetricLabels;
}
