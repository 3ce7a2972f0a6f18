import type { Balancer, PickRequest } from "../../../recipes/index.ts";

export interface TestServer {
  readonly key: string;
  readonly weight: number;
  readonly metadata: { readonly zone: string };
  readonly createRevision: number;
}

export function server(key: string, { weight = 1, zone = "a", createRevision = 1 } = {}): TestServer {
  return { key, weight, metadata: { zone }, createRevision };
}

/** m0, m1, … */
export function servers(count: number, options: Parameters<typeof server>[1] = {}): TestServer[] {
  return Array.from({ length: count }, (_, index) => server(`m${index}`, options));
}

/** The keys that were picked, in order. */
export function picked(
  balancer: Balancer<TestServer>,
  list: readonly TestServer[],
  picks: number,
  request: PickRequest = {},
): string[] {
  return Array.from({ length: picks }, () => balancer.pick(list, request).key);
}

export function countsOf(keys: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/**
 * How far counts are from what they should be, in standard deviations of a normal distribution, to which the cube root
 * of chi-square comes close (Wilson and Hilferty 1931): by chance it is above 5 less than once in a million times.
 */
export function deviation(counts: Map<string, number>, expected: Map<string, number>): number {
  let chiSquare = 0;
  for (const [key, wanted] of expected) chiSquare += ((counts.get(key) ?? 0) - wanted) ** 2 / wanted;
  const freedom = expected.size - 1;
  const variance = 2 / (9 * freedom);
  return (Math.cbrt(chiSquare / freedom) - (1 - variance)) / Math.sqrt(variance);
}

/** So many of `total` for each, by weight. */
export function byWeight(list: readonly TestServer[], total: number): Map<string, number> {
  const sum = list.reduce((weights, { weight }) => weights + weight, 0);
  return new Map(list.map(({ key, weight }) => [key, (total * weight) / sum]));
}
