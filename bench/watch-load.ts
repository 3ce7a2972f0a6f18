import { percentile, type Sample, stopwatch } from "./measure.ts";
import type { Peer } from "./peer.ts";

export type WatchFigure = "openMs" | "openCpuMs" | "p50Ms" | "p99Ms" | "cpuUsEach";

const puts = 400;

/**
 * Opens so many watches, each on a prefix of its own, then puts one key after the other, each time below another
 * prefix, and waits for its event and for the answer of the put.
 *
 * @param settled called, and awaited, while all watches are open, after the last event
 * @returns CPU for one put and its event; latencies from the call of `put` to the event
 */
export async function watchLoad(
  peer: Peer,
  watches: number,
  settled: () => Promise<void> = async () => {},
): Promise<Sample<WatchFigure>> {
  const value = new Uint8Array(64).fill(0x61);
  const latenciesMs: number[] = [];
  let startMs = 0;
  let received = () => {};
  const onEvent = () => {
    latenciesMs.push(performance.now() - startMs);
    received();
  };
  const below = (index: number) => `/bench/watched/${String(index).padStart(4, "0")}/`;
  const opening = stopwatch();
  const open = await Promise.all(Array.from({ length: watches }, (_, index) => peer.watch(below(index), onEvent)));
  const { tookMs: openMs, cpuMs: openCpuMs } = opening();

  const read = stopwatch();
  for (let index = 0; index < puts; index++) {
    const event = new Promise<void>((resolve) => {
      received = resolve;
    });
    startMs = performance.now();
    await Promise.all([peer.put(`${below((index * 7) % watches)}a`, value), event]);
  }
  const { cpuMs } = read();
  await settled();
  await Promise.all(open.map((watch) => watch.close()));
  if (latenciesMs.length !== puts) throw new Error(`${peer.name} reported ${latenciesMs.length} events of ${puts}`);
  return {
    openMs,
    openCpuMs,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    cpuUsEach: (cpuMs * 1e3) / puts,
  };
}
