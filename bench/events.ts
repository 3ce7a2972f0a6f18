import { EtcdClient } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, type Taken, takenBy } from "./in-turn.ts";
import { type Sample, stopwatch } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { etcd3, ours, Peers } from "./peers.ts";
import { figure, printTable } from "./table.ts";
import { type WatchFigure, watchLoad } from "./watch-load.ts";

const below = "/bench/events/";
const count = 10_000;
/** So many replays make one sample. */
const repeats = 3;
const watchCounts = [1, 10, 100, 1_000];
/** Latencies differ by a few hundredths from peer to peer, and by more from moment to moment: they take more rounds. */
const roundsOfLatencies = 5;
const value = new Uint8Array(64).fill(0x61);

export const events: Bench = {
  title: "replay of 10 000 events; from a put to its event with 1 to 1 000 watches: ours, etcd3, bare grpc-js",
  async run(options: BenchOptions) {
    await using cluster = await startEtcd();
    await using peers = new Peers(cluster.endpoints, [ours, etcd3, "grpc-js"]);
    await compareReplays(options, peers.all, await write(cluster.endpoints));
    await compareLatencies(options, peers.all);
  },
};

async function compareReplays(
  { rounds, report }: BenchOptions,
  peers: readonly Peer[],
  revision: number,
): Promise<void> {
  const taken = await inTurn(
    peers.map((peer) => ({ peer: peer.name, measure: () => replays(peer, revision) })),
    rounds,
  );
  const reference = takenBy(taken, etcd3);
  for (const { peer, samples } of taken) report.add("events", { replayed: count, peer }, samples);
  const ratio = takenBy(taken, ours).ratioTo(reference, "cpuMs");
  report.target("events", `CPU for the replay of ${figure(count)}`, "× etcd3", ratio, { atMost: 0.25 });
  console.log(`replay of ${figure(count)} events, keys and values as text; median of ${rounds} rounds\n`);
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
}

async function compareLatencies(options: BenchOptions, peers: readonly Peer[]): Promise<void> {
  const { report } = options;
  const rounds = options.rounds * roundsOfLatencies;
  const rows: string[][] = [];
  for (const watches of watchCounts) {
    const taken = await inTurn(
      peers.map((peer) => ({ peer: peer.name, measure: () => watchLoad(peer, watches) })),
      rounds,
    );
    const reference = takenBy(taken, etcd3);
    rows.push(...taken.map((of) => row(of, reference, watches)));
    for (const { peer, samples } of taken) report.add("events", { watches, peer }, samples);
    const ratio = takenBy(taken, ours).ratioTo(reference, "p50Ms");
    report.target("events", `p50 from put to event, ${figure(watches)} watches`, "× etcd3", ratio, { atMost: 1 });
  }
  console.log(`\neach watch on a prefix of its own, one put after the other; median of ${rounds} rounds\n`);
  const head = ["watches", "", "open all, ms", "CPU ms", "put→event p50, ms", "to etcd3", "p99, ms", "CPU, µs each"];
  printTable([...head, "to etcd3"], rows);
}

function row(of: Taken<WatchFigure>, reference: Taken<WatchFigure>, watches: number): string[] {
  return [
    figure(watches),
    of.peer,
    figure(of.middle("openMs")),
    figure(of.middle("openCpuMs")),
    figure(of.middle("p50Ms")),
    `${figure(of.ratioTo(reference, "p50Ms"))}×`,
    figure(of.middle("p99Ms")),
    figure(of.middle("cpuUsEach")),
    `${figure(of.ratioTo(reference, "cpuUsEach"))}×`,
  ];
}

/** One revision each, as they come when many processes write. @returns the first of them */
async function write(endpoints: readonly string[]): Promise<number> {
  await using etcd = new EtcdClient({ endpoints });
  const { revision } = await etcd.put("/bench/before", "");
  for (let from = 0; from < count; from += 100) {
    await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        etcd.put(`${below}${String((from + index) % 1_000).padStart(6, "0")}`, value, { batch: false }),
      ),
    );
  }
  return revision + 1;
}

async function replays(peer: Peer, startRevision: number): Promise<Sample<"tookMs" | "cpuMs">> {
  const all: Sample<"tookMs" | "cpuMs">[] = [];
  for (let time = 0; time < repeats; time++) all.push(await replay(peer, startRevision));
  const mean = (name: "tookMs" | "cpuMs") => all.reduce((sum, sample) => sum + sample[name], 0) / repeats;
  return { tookMs: mean("tookMs"), cpuMs: mean("cpuMs") };
}

async function replay(peer: Peer, startRevision: number): Promise<Sample<"tookMs" | "cpuMs">> {
  let left = count;
  let characters = 0;
  let all = () => {};
  const received = new Promise<void>((resolve) => {
    all = resolve;
  });
  const onEvent = (key: string, text: string) => {
    characters += key.length + text.length;
    if (--left === 0) all();
  };
  const read = stopwatch();
  const watch = await peer.watch(below, onEvent, startRevision);
  await received;
  const sample = read();
  await watch.close();
  if (left < 0 || characters !== count * (below.length + 6 + value.length)) {
    throw new Error(`${peer.name}  reported something else than what was written`);
  }
  return sample;
}
