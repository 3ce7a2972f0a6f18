import type { GaugeValue, Metric, MetricLabels } from "../../recipes/index.ts";

interface Sample {
  readonly labels: MetricLabels;
  value: number;
  /** Of a histogram: how many values were at most as large as each bound, and how many there were. */
  readonly below: number[];
  count: number;
}

/**
 * All samples of one metric, and their text.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format".
 */
export class Series {
  readonly #metric: Metric;
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #samples = new Map<string, Sample>();

  constructor(metric: Metric, name: string, bounds: readonly number[]) {
    this.#metric = metric;
    this.#name = name;
    this.#bounds = metric.kind === "histogram" ? bounds : [];
  }

  add(value: number, labels: MetricLabels): void {
    this.#sample(labels).value += value;
  }

  record(value: number, labels: MetricLabels): void {
    const sample = this.#sample(labels);
    sample.value += value;
    sample.count++;
    for (const [index, bound] of this.#bounds.entries()) {
      if (value <= bound) sample.below[index] = (sample.below[index] ?? 0) + 1;
    }
  }

  replace(values: readonly GaugeValue[]): void {
    this.#samples.clear();
    for (const { value, labels } of values) this.#sample(labels).value = value;
  }

  /** Ends with a line break. */
  text(): string {
    const name = this.#name;
    const lines = [`# HELP ${name} ${this.#metric.description}`, `# TYPE ${name} ${this.#metric.kind}`];
    for (const sample of this.#samples.values()) {
      if (this.#metric.kind === "histogram") lines.push(...this.#histogram(sample));
      else lines.push(`${name}${braced(sample.labels)} ${sample.value}`);
    }
    return `${lines.join("\n")}\n`;
  }

  #histogram({ labels, value, below, count }: Sample): string[] {
    const buckets = this.#bounds.map(
      (bound, index) => `${this.#name}_bucket${braced({ ...labels, le: String(bound) })} ${below[index] ?? 0}`,
    );
    return [
      ...buckets,
      `${this.#name}_bucket${braced({ ...labels, le: "+Inf" })} ${count}`,
      `${this.#name}_sum${braced(labels)} ${value}`,
      `${this.#name}_count${braced(labels)} ${count}`,
    ];
  }

  #sample(labels: MetricLabels): Sample {
    const key = braced(labels);
    const known = this.#samples.get(key);
    if (known) return known;
    const sample: Sample = { labels, value: 0, below: this.#bounds.map(() => 0), count: 0 };
    this.#samples.set(key, sample);
    return sample;
  }
}

function braced(labels: MetricLabels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
