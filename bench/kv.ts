import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, type Taken, takenBy } from "./in-turn.ts";
import { type LoadFigure, load } from "./load.ts";
import type { Sample } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { etcd3, ours, oursBatching, Peers } from "./peers.ts";
import type { Report } from "./report.ts";
import { figure, printTable } from "./table.ts";

export type KvOperation = "get" | "put";

const operations: readonly KvOperation[] = ["get", "put"];
const inFlights = [1, 8, 64, 256, 1_000];
const keys = Array.from({ length: 10_000 }, (_, index) => `/bench/kv/${String(index).padStart(6, "0")}`);
const value = new Uint8Array(64).fill(0x61);
const sampleMs = 600;
/**
 * One at a time differs by a few hundredths from peer to peer, and by more from moment to moment: it takes more rounds.
 */
const roundsOfOne = 5;

/** What must be reached, in times of etcd3's operations per second, by the number in flight. */
const wanted: Readonly<Record<KvOperation, Readonly<Record<number, number>>>> = {
  get: { 1: 0.95, 64: 8, 256: 10 },
  put: { 1: 0.95, 64: 5, 256: 10 },
};

export const kv: Bench = {
  title: "get and put of 64-byte values, 1 to 1 000 in flight: ours, etcd3, bare grpc-js",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using peers = new Peers(cluster.endpoints);
    for (const peer of peers.all) await fillKeys(peer);
    for (const operation of operations) {
      const rows: string[][] = [];
      for (const inFlight of inFlights) {
        const taken = await inTurn(
          peers.all.map((peer) => ({ peer: peer.name, measure: () => kvLoad(peer, operation, inFlight) })),
          inFlight === 1 ? rounds * roundsOfOne : rounds,
        );
        rows.push(...taken.map((of) => row(of, takenBy(taken, etcd3), inFlight)));
        for (const { peer, samples } of taken) report.add("kv", { operation, inFlight, peer }, samples);
        judge(report, operation, inFlight, taken);
      }
      console.log(`${operation}; median of ${rounds} rounds, one in flight of ${rounds * roundsOfOne}\n`);
      const head = ["in flight", "", "ops/s", "to etcd3", "p50, ms", "p99, ms", "CPU, µs each", "to etcd3"];
      printTable(head, rows);
      console.log("");
    }
  },
};

/** Each operation in flight is one of another key. */
export function kvLoad(peer: Peer, operation: KvOperation, inFlight: number): Promise<Sample<LoadFigure>> {
  const key = (index: number) => keys[index % keys.length] as string;
  const operate: (index: number) => Promise<unknown> =
    operation === "get" ? (index) => peer.get(key(index)) : (index) => peer.put(key(index), value);
  return load(operate, inFlight, sampleMs);
}

/** All keys that `kvLoad` reads. */
export async function fillKeys(peer: Peer): Promise<void> {
  for (let from = 0; from < keys.length; from += 100) {
    await Promise.all(keys.slice(from, from + 100).map((key) => peer.put(key, value)));
  }
}

function row(of: Taken<LoadFigure>, reference: Taken<LoadFigure>, inFlight: number): string[] {
  return [
    figure(inFlight),
    of.peer,
    figure(of.middle("opsPerSecond")),
    `${figure(of.ratioTo(reference, "opsPerSecond"))}×`,
    figure(of.middle("p50Ms")),
    figure(of.middle("p99Ms")),
    figure(of.middle("cpuUsEach")),
    `${figure(of.ratioTo(reference, "cpuUsEach"))}×`,
  ];
}

function judge(report: Report, operation: KvOperation, inFlight: number, taken: readonly Taken<LoadFigure>[]): void {
  const atLeast = wanted[operation][inFlight];
  if (atLeast === undefined) return;
  const reference = takenBy(taken, etcd3);
  // Alone, neither may be slower.
  const those = operation === "put" && inFlight > 1 ? [oursBatching] : [ours];
  if (operation === "put" && inFlight === 1) those.push(oursBatching);
  for (const name of those) {
    const ratio = takenBy(taken, name).ratioTo(reference, "opsPerSecond");
    report.target("kv", `${operation} at ${inFlight} in flight, ${name}`, "× etcd3", ratio, { atLeast });
  }
}
