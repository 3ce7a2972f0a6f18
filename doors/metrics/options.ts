import { InvalidOptionError } from "../../recipes/index.ts";

export interface MetricsOptions {
  /**
   * The upper bounds of the buckets of all histograms, in seconds, from small to large.
   *
   * @default 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30
   */
  buckets?: readonly number[] | undefined;
}

const DEFAULT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** @throws InvalidOptionError */
export function bucketsOf(method: string, options: MetricsOptions, others: readonly string[] = []): readonly number[] {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidOptionError(method, "options", `must be an object, not ${kindOf(options)}`);
  }
  const known = ["buckets", ...others];
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InvalidOptionError(method, unknown, `is no option; there are ${known.join(", ")}`);
  }
  const { buckets = DEFAULT_BUCKETS } = options;
  const rises = (bound: unknown, index: number) =>
    typeof bound === "number" && Number.isFinite(bound) && bound > (buckets[index - 1] ?? 0);
  if (!Array.isArray(buckets) || buckets.length === 0 || !buckets.every(rises)) {
    throw new InvalidOptionError(method, "buckets", "must be seconds above 0, from small to large");
  }
  return [...buckets];
}

/** What was given, for a message. */
export function kindOf(given: unknown): string {
  if (given === null) return "null";
  return Array.isArray(given) ? "an array" : typeof given;
}
