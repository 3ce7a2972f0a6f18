import { percentile, type Sample, stopwatch } from "./measure.ts";

export type LoadFigure = "opsPerSecond" | "p50Ms" | "p99Ms" | "cpuUsEach";

/**
 * Keeps `inFlight` operations under way for `forMs`, until the last of them has ended.
 *
 * @param operation gets the number of the operation, from 0
 */
export async function load(
  operation: (index: number) => Promise<unknown>,
  inFlight: number,
  forMs: number,
): Promise<Sample<LoadFigure>> {
  const latenciesMs: number[] = [];
  let next = 0;
  const read = stopwatch();
  const endMs = performance.now() + forMs;
  const worker = async () => {
    for (let startMs = performance.now(); startMs < endMs; ) {
      await operation(next++);
      const nowMs = performance.now();
      latenciesMs.push(nowMs - startMs);
      startMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const { tookMs, cpuMs } = read();
  return {
    opsPerSecond: (latenciesMs.length / tookMs) * 1e3,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    cpuUsEach: (cpuMs * 1e3) / latenciesMs.length,
  };
}
