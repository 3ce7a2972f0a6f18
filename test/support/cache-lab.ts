import { CacheTracker } from "../../recipes/cache-expirer/cache-tracker.ts";
import { resolveExpirer } from "../../recipes/cache-expirer/options.ts";
import type { CacheExpirerOptions, ExpireReason } from "../../recipes/index.ts";
import type { Clock } from "../../src/internal/index.ts";
import type { RegistryLab } from "./registry-lab.ts";

/** A tracker on a clock of the test's, and what it reported. */
export interface LabTracker {
  readonly tracker: CacheTracker;
  /** What `onExpire` was called with, "id reason", in order. */
  readonly expired: string[];
  readonly warnings: Error[];
}

/** What CacheExpirer makes of its options, with another clock. */
export function trackerOn(
  lab: RegistryLab,
  clock: Clock,
  prefix: string,
  options: Partial<CacheExpirerOptions> & { ttlSeconds: number },
  endpoints: readonly string[] = lab.cluster.endpoints,
): LabTracker {
  const expired: string[] = [];
  const warnings: Error[] = [];
  const onExpire = (id: string, reason: ExpireReason) => {
    expired.push(`${id} ${reason}`);
  };
  const resolved = resolveExpirer(prefix, { onExpire, ...options });
  const tracker = new CacheTracker(
    lab.client({ endpoints: [...endpoints] }),
    resolved,
    { clock, random: () => 0.5 },
    (news) => "error" in news && warnings.push(news.error),
  );
  lab.also(() => tracker.end());
  return { tracker, expired, warnings };
}
