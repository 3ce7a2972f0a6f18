import { setTimeout as sleep } from "node:timers/promises";

/** Figures that were taken together, each with its unit in its name. */
export type Sample<Name extends string = string> = Readonly<Record<Name, number>>;

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** What `part` of the values, 0 to 1, does not exceed. Sorts them. */
export function percentile(values: number[], part: number): number {
  values.sort((a, b) => a - b);
  return values[Math.max(0, Math.ceil(values.length * part) - 1)] ?? Number.NaN;
}

/** Nanoseconds that one call of `work` takes, over so many calls that they fill about `forMs`. */
export function nanosecondsEach(work: () => void, forMs: number): number {
  let calls = 1;
  for (;;) {
    const startMs = performance.now();
    for (let call = 0; call < calls; call++) work();
    const tookMs = performance.now() - startMs;
    if (tookMs >= forMs) return (tookMs * 1e6) / calls;
    calls = Math.ceil(calls * Math.min(10, Math.max(1.5, (forMs * 1.2) / Math.max(tookMs, 0.01))));
  }
}

/** Several functions in turn, so that a noisy moment hits all alike; for each what it gave, one for each round. */
export function eachInTurn(work: readonly (() => number)[], rounds: number): number[][] {
  const taken = work.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, measure] of work.entries()) taken[index]?.push(measure());
  }
  return taken;
}

/** Starts now; the function that it returns says what time and CPU this process has taken since then. */
export function stopwatch(): () => Sample<"tookMs" | "cpuMs"> {
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { tookMs: performance.now() - startMs, cpuMs: (user + system) / 1e3 };
  };
}

/** The CPU that this process takes during a time that begins after a pause, in milliseconds. */
export async function cpuOf(pauseMs: number, forMs: number): Promise<number> {
  await sleep(pauseMs);
  const waiting = stopwatch();
  await sleep(forMs);
  return waiting().cpuMs;
}
