import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import { type Sample, stopwatch } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { etcd3, ours, Peers } from "./peers.ts";
import { figure, printTable } from "./table.ts";

const below = "/bench/snapshot/";
const count = 10_000;
const value = new Uint8Array(64).fill(0x61);
/** So many are read for one sample. */
const repeats = 5;

export const snapshot: Bench = {
  title: "reading 10 000 keys and values as text: ours, etcd3, bare grpc-js",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using peers = new Peers(cluster.endpoints, [ours, etcd3, "grpc-js"]);
    await fill(peers.all[0] as Peer);
    const taken = await inTurn(
      peers.all.map((peer) => ({ peer: peer.name, measure: () => read(peer) })),
      rounds,
    );
    const reference = takenBy(taken, etcd3);
    for (const { peer, samples } of taken) report.add("snapshot", { keys: count, peer }, samples);
    const ratio = takenBy(taken, ours).ratioTo(reference, "cpuMs");
    report.target("snapshot", `CPU for ${figure(count)} keys`, "× etcd3", ratio, { atMost: 0.25 });
    console.log(`${figure(count)} keys; median of ${rounds} rounds\n`);
    printTable(
      ["", "ms", "to etcd3", "CPU ms", "to etcd3"],
      taken.map((of) => [
        of.peer,
        figure(of.middle("tookMs")),
        `${figure(of.ratioTo(reference, "tookMs"))}×`,
        figure(of.middle("cpuMs")),
        `${figure(of.ratioTo(reference, "cpuMs"))}×`,
      ]),
    );
  },
};

async function read(peer: Peer): Promise<Sample<"tookMs" | "cpuMs">> {
  const read = stopwatch();
  for (let time = 0; time < repeats; time++) {
    const characters = await peer.snapshot(below);
    if (characters !== count * (key(0).length + value.length)) throw new Error(`${peer.name} left something out`);
  }
  const { tookMs, cpuMs } = read();
  return { tookMs: tookMs / repeats, cpuMs: cpuMs / repeats };
}

async function fill(peer: Peer): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => peer.put(key(from + index), value)));
  }
}

function key(index: number): string {
  return `${below}${String(index).padStart(6, "0")}`;
}
