import { EtcdClient, keyRange, type Lease, prefix } from "etcd-recipes";
import { type EtcdCluster, startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { buildGoPeer, type GoPeer } from "./go-peer.ts";
import { collectGarbage } from "./heap.ts";
import { inTurn, type Taken, takenBy } from "./in-turn.ts";
import { type LoadFigure, load } from "./load.ts";
import { cpuOf, percentile, type Sample, stopwatch } from "./measure.ts";
import type { Report } from "./report.ts";
import { figure, printTable } from "./table.ts";

const ours = "ours";
const go = "Go's clientv3";

const value = new Uint8Array(64).fill(0x61);
const keyOf = (index: number) => `/bench/kv/${String(index % 10_000).padStart(6, "0")}`;
const loadMs = 1_000;
/**
 * V8 optimizes what ran some ten thousand times; with one call in flight, whose code is another, that takes seconds.
 */
const warmUps = [
  { inFlight: 64, ms: 1_500 },
  { inFlight: 1, ms: 6_000 },
] as const;
const replayed = 10_000;
const replayPrefix = "/bench/wire/replay/";
const eventPrefix = "/bench/wire/events/";
const puts = 1_000;
const heldLeases = 2_000;
const heldTtlSeconds = 15;
const heldMs = 10_000;
/**
 * One renewal of each lease before each time that is measured. They are held for two such times: V8 compiles in the
 * first one, and about half of the CPU of the process goes into that.
 */
const heldPauseMs = (heldTtlSeconds / 3) * 1_000;
/** So many replays are not counted: V8 has optimized the code after some hundred thousand events. */
const replayWarmUps = 10;
/**
 * So many follow each other in one measurement, with the garbage that they make: V8 compiles anew after a full
 * collection.
 */
const replaysInARow = 10;

type HoldFigure = "grantMs" | "grantCpuMs" | "firstCpuMs" | "heldCpuMs";

/** `range` is a read that is not coalesced with others. */
const operations = ["put", "get", "range"] as const;
type Operation = (typeof operations)[number];
const inFlights = [1, 16, 64, 256];

/** At most so many times Go's CPU for each operation. */
const mostCpu: Readonly<Record<Operation, Readonly<Record<number, number>>>> = {
  put: { 1: 0.8, 16: 0.7, 64: 0.6, 256: 0.6 },
  get: { 1: 0.8, 16: 0.7, 64: 0.6, 256: 0.6 },
  range: { 1: 0.9, 16: 0.9, 64: 0.9, 256: 0.9 },
};

export const wire: Bench = {
  title: "the wire alone, nothing batched: put, get, events and held leases beside Go's clientv3",
  async run(options: BenchOptions) {
    const program = await buildGoPeer();
    if (typeof program === "string") {
      console.log(`skipped: ${program}`);
      return;
    }
    await using _ = program;
    {
      await using cluster = await startEtcd();
      using peer = program.start(cluster);
      await measureAll(options, "plain", cluster, peer);
      await replay(options, cluster, peer);
      await events(options, cluster, peer);
      await hold(options, cluster, peer);
    }
    await using cluster = await startEtcd({ tls: { clientCertificates: false } });
    using peer = program.start({ endpoints: cluster.endpoints, caFile: cluster.tls?.caFile });
    await measureAll(options, "TLS", cluster, peer);
  },
};

async function measureAll(
  { rounds, report }: BenchOptions,
  how: string,
  { clientOptions }: EtcdCluster,
  peer: GoPeer,
): Promise<void> {
  await using etcd = new EtcdClient(clientOptions);
  const rows: string[][] = [];
  for (const operation of operations) {
    for (const { inFlight, ms } of warmUps) {
      await load(operate(etcd, operation), inFlight, ms);
      await peer.measure(`load ${goOperation(operation)} ${inFlight} ${ms}`);
    }
    for (const inFlight of inFlights) {
      const taken = await inTurn<LoadFigure>(
        [
          { peer: ours, measure: () => load(operate(etcd, operation), inFlight, loadMs) },
          {
            peer: go,
            measure: () => peer.measure(`load ${goOperation(operation)} ${inFlight} ${loadMs}`),
          },
        ],
        rounds,
      );
      for (const of of taken) {
        report.add("wire", { how, operation, inFlight, peer: of.peer }, of.samples);
        rows.push(loadRow(operation, inFlight, of, takenBy(taken, go)));
      }
      if (how === "plain") judgeLoad(report, operation, inFlight, taken);
    }
  }
  console.log(`${how}; median of ${rounds} rounds\n`);
  printTable(["", "in flight", "", "ops/s", "to Go", "p50, ms", "to Go", "p99, ms", "CPU, µs each", "to Go"], rows);
  console.log("");
}

function goOperation(operation: Operation): string {
  return operation === "put" ? "put" : "get";
}

function operate(etcd: EtcdClient, operation: Operation): (index: number) => Promise<unknown> {
  if (operation === "put") return (index) => etcd.put(keyOf(index), value);
  if (operation === "get") return (index) => etcd.get(keyOf(index));
  return (index) => etcd.range(keyRange(keyOf(index), `${keyOf(index)}\0`));
}

function loadRow(operation: string, inFlight: number, of: Taken<LoadFigure>, reference: Taken<LoadFigure>): string[] {
  const ratio = (name: LoadFigure) => `${figure(of.ratioTo(reference, name))}×`;
  return [
    operation,
    figure(inFlight),
    of.peer,
    figure(of.middle("opsPerSecond")),
    ratio("opsPerSecond"),
    figure(of.middle("p50Ms")),
    ratio("p50Ms"),
    figure(of.middle("p99Ms")),
    figure(of.middle("cpuUsEach")),
    ratio("cpuUsEach"),
  ];
}

function judgeLoad(report: Report, operation: Operation, inFlight: number, taken: readonly Taken<LoadFigure>[]): void {
  const [mine, reference] = [takenBy(taken, ours), takenBy(taken, go)];
  const what = `${operation} at ${inFlight} in flight`;
  const atMost = mostCpu[operation][inFlight] as number;
  report.target("wire", `${what}, CPU`, "× Go", mine.ratioTo(reference, "cpuUsEach"), { atMost });
  if (operation === "range") return;
  if (inFlight === 1) report.target("wire", `${what}, p50`, "× Go", mine.ratioTo(reference, "p50Ms"), { atMost: 1.1 });
  if (inFlight === 64) {
    report.target("wire", `${what}, ops/s`, "× Go", mine.ratioTo(reference, "opsPerSecond"), { atLeast: 1 });
  }
}

async function replay({ rounds, report }: BenchOptions, { clientOptions }: EtcdCluster, peer: GoPeer): Promise<void> {
  await using etcd = new EtcdClient({ ...clientOptions, autoBatch: true });
  const { revision } = await etcd.put(`${replayPrefix}0`, value);
  const rest = Array.from({ length: replayed - 1 }, (_, index) => etcd.put(`${replayPrefix}${index % 1_000}`, value));
  await Promise.all(rest);
  const mine = async (): Promise<void> => {
    let seen = 0;
    let characters = 0;
    for await (const { events } of etcd.watch(prefix(replayPrefix), { startRevision: revision })) {
      for (const { kv } of events) characters += kv.key.length + kv.text.length;
      seen += events.length;
      if (seen >= replayed) break;
    }
    if (characters === 0) throw new Error("nothing was read");
  };
  const ofGo = () => peer.measure<"tookMs" | "cpuMs">(`replay ${replayPrefix} ${revision} ${replayed}`);
  for (let replay = 0; replay < replayWarmUps; replay++) {
    await mine();
    await ofGo();
  }
  const taken = await inTurn<"tookMs" | "cpuMs">(
    [
      { peer: ours, measure: () => each(replaysInARow, mine) },
      { peer: go, measure: () => meanOf(replaysInARow, ofGo) },
    ],
    rounds,
  );
  say(report, `replay of ${figure(replayed)} events`, taken, ["tookMs", "cpuMs"]);
  const ratio = takenBy(taken, ours).ratioTo(takenBy(taken, go), "cpuMs");
  report.target("wire", `CPU for the replay of ${figure(replayed)}`, "× Go", ratio, { atMost: 1.5 });
}

/** What one of `times` runs, one after the other, took of this process. */
async function each(times: number, run: () => Promise<void>): Promise<Sample<"tookMs" | "cpuMs">> {
  const read = stopwatch();
  for (let time = 0; time < times; time++) await run();
  const { tookMs, cpuMs } = read();
  return { tookMs: tookMs / times, cpuMs: cpuMs / times };
}

/** The mean of `times` measurements, one after the other. */
async function meanOf(
  times: number,
  measure: () => Promise<Sample<"tookMs" | "cpuMs">>,
): Promise<Sample<"tookMs" | "cpuMs">> {
  let [tookMs, cpuMs] = [0, 0];
  for (let time = 0; time < times; time++) {
    const sample = await measure();
    tookMs += sample.tookMs / times;
    cpuMs += sample.cpuMs / times;
  }
  return { tookMs, cpuMs };
}

async function events({ rounds, report }: BenchOptions, { clientOptions }: EtcdCluster, peer: GoPeer): Promise<void> {
  await using etcd = new EtcdClient(clientOptions);
  const mine = async (): Promise<Sample<"p50Ms" | "p99Ms" | "cpuUsEach">> => {
    const watch = etcd.watch(prefix(eventPrefix));
    const batches = watch[Symbol.asyncIterator]();
    await watch.ready;
    const latenciesMs: number[] = [];
    const read = stopwatch();
    for (let put = 0; put < puts; put++) {
      const startMs = performance.now();
      const event = batches.next();
      await etcd.put(`${eventPrefix}${put % 100}`, value);
      await event;
      latenciesMs.push(performance.now() - startMs);
    }
    const { cpuMs } = read();
    await watch.close();
    return {
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      cpuUsEach: (cpuMs * 1e3) / puts,
    };
  };
  const taken = await inTurn<"p50Ms" | "p99Ms" | "cpuUsEach">(
    [
      { peer: ours, measure: mine },
      { peer: go, measure: () => peer.measure(`events ${eventPrefix} ${puts}`) },
    ],
    rounds,
  );
  say(report, "from a put to its event", taken, ["p50Ms", "p99Ms", "cpuUsEach"]);
  const ratio = takenBy(taken, ours).ratioTo(takenBy(taken, go), "p50Ms");
  report.target("wire", "p50 from put to event", "× Go", ratio, { atMost: 1.1 });
}

async function hold({ rounds, report }: BenchOptions, { clientOptions }: EtcdCluster, peer: GoPeer): Promise<void> {
  const mine = async (): Promise<Sample<HoldFigure>> => {
    await using etcd = new EtcdClient(clientOptions);
    const leases: Lease[] = [];
    const granting = stopwatch();
    const grants = Array.from({ length: 64 }, async (_, first) => {
      for (let at = first; at < heldLeases; at += 64) leases.push(await etcd.grantLease(heldTtlSeconds));
    });
    await Promise.all(grants);
    const { tookMs: grantMs, cpuMs: grantCpuMs } = granting();
    // What granting left behind is not what holding costs.
    collectGarbage();
    const firstCpuMs = await cpuOf(heldPauseMs, heldMs);
    const heldCpuMs = await cpuOf(heldPauseMs, heldMs);
    if (leases.some((lease) => lease.signal.aborted)) throw new Error("a lease was lost");
    return { grantMs, grantCpuMs, firstCpuMs, heldCpuMs };
  };
  const taken = await inTurn<HoldFigure>(
    [
      { peer: ours, measure: mine },
      { peer: go, measure: () => peer.measure(`leases ${heldLeases} ${heldTtlSeconds} ${heldPauseMs} ${heldMs}`) },
    ],
    rounds,
    { warmUp: false },
  );
  say(report, `${figure(heldLeases)} leases, held for ${heldMs / 1e3} s`, taken, [
    "grantMs",
    "grantCpuMs",
    "firstCpuMs",
    "heldCpuMs",
  ]);
  const ratio = (name: HoldFigure) => takenBy(taken, ours).ratioTo(takenBy(taken, go), name);
  const what = `CPU to hold ${figure(heldLeases)} leases`;
  report.target("wire", `${what}, the first ${heldMs / 1e3} s`, "× Go", ratio("firstCpuMs"), { atMost: 2 });
  report.target("wire", `${what}, the next`, "× Go", ratio("heldCpuMs"), { atMost: 2 });
}

function say<Name extends string>(
  report: Report,
  what: string,
  taken: readonly Taken<Name>[],
  names: readonly Name[],
): void {
  const reference = takenBy(taken, go);
  for (const { peer, samples } of taken) report.add("wire", { what, peer }, samples);
  console.log(`${what}\n`);
  printTable(
    ["", ...names.flatMap((name) => [name, "to Go"])],
    taken.map((of) => [
      of.peer,
      ...names.flatMap((name) => [figure(of.middle(name)), `${figure(of.ratioTo(reference, name))}×`]),
    ]),
  );
  console.log("");
}
