import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { ChangeWriter } from "./change-writer.ts";
import { liveBytes } from "./heap.ts";
import { inTurn, type Taken } from "./in-turn.ts";
import { growInstances, type InstanceFigure } from "./instance-growth.ts";
import { fillKeys, type KvOperation, kvLoad } from "./kv.ts";
import type { LoadFigure } from "./load.ts";
import { etcd3, ours, oursBatching, Peers } from "./peers.ts";
import type { Report } from "./report.ts";
import { type Line, svgOf } from "./svg-plot.ts";
import { figure, printTable } from "./table.ts";
import { type WatchFigure, watchLoad } from "./watch-load.ts";

const sizes = [1_000, 10_000, 100_000];
const watchCounts = [1, 10, 100, 1_000];
const inFlights = [1, 4, 16, 64, 256, 1_000];
/** From build/bench, where this runs. */
const picture = fileURLToPath(new URL("../../bench/growth.svg", import.meta.url));

/** What was measured at one place of an axis. */
interface At<Name extends string> {
  readonly x: number;
  readonly taken: readonly Taken<Name>[];
}

export const growth: Bench = {
  title: "what grows with instances, watches and operations in flight; draws bench/growth.svg",
  async run(options: BenchOptions) {
    const instances = await growthOfInstances(options);
    const watches = await growthOfWatches(options);
    const load = await growthOfLoad(options);
    const svg = svgOf([
      {
        title: "one changed instance",
        x: "instances in the list",
        y: "CPU, µs",
        lines: [
          ...lineFor(instances, "put event", ours, "eventCpuUs"),
          ...lineFor(instances, "put event and pick()", ours, "pickCpuUs"),
          ...lineFor(instances, "alone, and pick()", ours, "aloneCpuUs"),
          ...lineFor(instances, "alone, change listener", ours, "copiedCpuUs"),
        ],
      },
      {
        title: "first list",
        x: "instances",
        y: "ms",
        lines: [...lineFor(instances, "time", ours, "listMs"), ...lineFor(instances, "CPU", ours, "listCpuMs")],
      },
      {
        title: "from a put to its event, p50",
        x: "watches",
        y: "ms",
        lines: [ours, etcd3].flatMap((peer) => lineFor(watches, peer, peer, "p50Ms")),
      },
      {
        title: "operations per second",
        x: "in flight",
        y: "per second",
        lines: [oursBatching, etcd3].flatMap((peer) => [
          ...lineFor(load.get, `get, ${peer}`, peer, "opsPerSecond"),
          ...lineFor(load.put, `put, ${peer}`, peer, "opsPerSecond"),
        ]),
      },
    ]);
    writeFileSync(picture, svg);
    console.log("\ndrawn: bench/growth.svg");
  },
};

async function growthOfInstances({ rounds, report }: BenchOptions): Promise<At<InstanceFigure>[]> {
  await using cluster = await startEtcd();
  await using writer = new ChangeWriter();
  const all: At<InstanceFigure>[] = [];
  for (const size of sizes) {
    const measure = () => growInstances(cluster.endpoints, writer, size);
    const taken = await inTurn([{ peer: ours, measure }], rounds);
    report.add("growth", { instances: size }, taken[0]?.samples ?? []);
    all.push({ x: size, taken });
  }
  judge(report, all);
  console.log(`a SubscribeService; CPU for one changed instance; median of ${rounds} rounds\n`);
  const names: readonly InstanceFigure[] = [
    "listMs",
    "listCpuMs",
    "bytesBeyondEach",
    "eventCpuUs",
    "pickCpuUs",
    "aloneCpuUs",
    "copiedCpuUs",
  ];
  printTable(
    [
      "instances",
      "first list, ms",
      "CPU ms",
      "bytes each beyond key and value",
      "one of a burst, µs",
      "and pick(), µs",
      "one alone, and pick(), µs",
      "and a change listener, µs",
    ],
    all.map(({ x, taken }) => [figure(x), ...names.map((name) => figure(middle(taken, ours, name)))]),
  );
  return all;
}

function judge(report: Report, all: readonly At<InstanceFigure>[]): void {
  const [least, most] = [all[0], all.at(-1)];
  if (!least || !most) return;
  const times = (name: InstanceFigure) => middle(most.taken, ours, name) / middle(least.taken, ours, name);
  const bytes = middle(most.taken, ours, "bytesBeyondEach");
  report.target("growth", `heap of each of ${figure(most.x)} beyond key and value`, "bytes", bytes, { atMost: 400 });
  const what = `of ${figure(most.x)}`;
  const unit = `× of ${figure(least.x)}`;
  report.target("growth", `one changed instance ${what}, put event`, unit, times("eventCpuUs"), { atMost: 2 });
  report.target("growth", `one changed instance ${what}, and pick()`, unit, times("pickCpuUs"), { atMost: 2 });
}

async function growthOfWatches({ rounds, report }: BenchOptions): Promise<At<WatchFigure | "bytesEach">[]> {
  await using cluster = await startEtcd();
  await using peers = new Peers(cluster.endpoints, [ours, etcd3]);
  const all: At<WatchFigure | "bytesEach">[] = [];
  for (const watches of watchCounts) {
    const contestants = peers.all.map((peer) => ({
      peer: peer.name,
      measure: async () => {
        const before = await liveBytes();
        let bytesEach = 0;
        const sample = await watchLoad(peer, watches, async () => {
          bytesEach = ((await liveBytes()) - before) / watches;
        });
        return { ...sample, bytesEach };
      },
    }));
    const taken = await inTurn(contestants, rounds);
    for (const { peer, samples } of taken) report.add("growth", { watches, peer }, samples);
    all.push({ x: watches, taken });
  }
  console.log(`\nwatches on prefixes of their own; median of ${rounds} rounds\n`);
  printTable(
    ["watches", "", "open all, ms", "bytes each", "put→event p50, ms", "p99, ms", "CPU, µs each"],
    all.flatMap(({ x, taken }) =>
      taken.map((of) => [
        figure(x),
        of.peer,
        figure(of.middle("openMs")),
        // One alone would bear the whole stream, and the noise.
        x < 100 ? "" : figure(of.middle("bytesEach")),
        figure(of.middle("p50Ms")),
        figure(of.middle("p99Ms")),
        figure(of.middle("cpuUsEach")),
      ]),
    ),
  );
  return all;
}

async function growthOfLoad({ rounds, report }: BenchOptions): Promise<Record<KvOperation, At<LoadFigure>[]>> {
  await using cluster = await startEtcd();
  await using peers = new Peers(cluster.endpoints, [oursBatching, etcd3]);
  for (const peer of peers.all) await fillKeys(peer);
  const all: Record<KvOperation, At<LoadFigure>[]> = { get: [], put: [] };
  for (const operation of ["get", "put"] as const) {
    for (const inFlight of inFlights) {
      const contestants = peers.all.map((peer) => ({
        peer: peer.name,
        measure: () => kvLoad(peer, operation, inFlight),
      }));
      const taken = await inTurn(contestants, rounds);
      for (const { peer, samples } of taken) report.add("growth", { operation, inFlight, peer }, samples);
      all[operation].push({ x: inFlight, taken });
    }
  }
  console.log(`\noperations in flight, with autoBatch; median of ${rounds} rounds\n`);
  const head = ["in flight", "get/s", "get/s, etcd3", "p50, ms", "etcd3", "put/s", "put/s, etcd3", "p50, ms", "etcd3"];
  printTable(
    head,
    inFlights.map((inFlight, at) => [
      figure(inFlight),
      ...[all.get[at], all.put[at]].flatMap((of) =>
        (["opsPerSecond", "p50Ms"] as const).flatMap((name) =>
          [oursBatching, etcd3].map((peer) => figure(middle(of?.taken ?? [], peer, name))),
        ),
      ),
    ]),
  );
  return all;
}

function middle<Name extends string>(taken: readonly Taken<Name>[], peer: string, name: Name): number {
  return taken.find((of) => of.peer === peer)?.middle(name) ?? Number.NaN;
}

/** No line without a figure above 0: what is lost in the noise cannot be drawn. */
function lineFor<Name extends string>(all: readonly At<Name>[], title: string, peer: string, name: Name): Line[] {
  const points = all.map(({ x, taken }) => [x, middle(taken, peer, name)] as const).filter(([, y]) => y > 0);
  return points.length === 0 ? [] : [{ name: title, points }];
}
