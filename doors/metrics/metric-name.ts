import type { Metric } from "../../recipes/index.ts";

/** As Prometheus has it: `call.duration` is `etcd_recipes_call_duration_seconds`, a counter ends with `_total`. */
export function metricName({ name, unit, kind }: Metric): string {
  const base = `etcd_recipes_${name.replaceAll(".", "_")}`;
  const withUnit = unit === "s" ? `${base}_seconds` : base;
  return kind === "counter" ? `${withUnit}_total` : withUnit;
}
