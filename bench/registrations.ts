import { EtcdClient, ServiceRegister } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { buildGoPeer } from "./go-peer.ts";
import { liveBytes } from "./heap.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import { cpuOf, median, type Sample, stopwatch } from "./measure.ts";
import { figure, printTable } from "./table.ts";

type Figure = "grantMs" | "grantCpuMs" | "firstCpuMs" | "heldCpuMs";
type OwnFigure = Figure | "bytesEach" | "leaveMs" | "leaveCpuMs";

const ours = "ours";
const go = "Go's clientv3";
const count = 2_000;
const ttlSeconds = 15;
/**
 * One renewal of each lease before each time that is measured. They are held for two such times: V8 compiles in the
 * first one.
 */
const pauseMs = (ttlSeconds / 3) * 1_000;
const heldMs = 10_000;
const below = "/bench/registrations/";

export const registrations: Bench = {
  title:
    "2 000 ServiceRegisters with a lease each, beside Go's clientv3: a grant, a put and a kept-alive lease for each",
  async run({ rounds, report }: BenchOptions) {
    const program = await buildGoPeer();
    if (typeof program === "string") {
      console.log(`skipped: ${program}`);
      return;
    }
    await using _ = program;
    await using cluster = await startEtcd();
    using peer = program.start(cluster);
    const own: Sample<OwnFigure>[] = [];
    const taken = await inTurn<Figure>(
      [
        {
          peer: ours,
          measure: async () => {
            const sample = await registerMany(cluster.endpoints);
            own.push(sample);
            return sample;
          },
        },
        { peer: go, measure: () => peer.measure(`leases ${count} ${ttlSeconds} ${pauseMs} ${heldMs} ${below}`) },
      ],
      rounds,
    );
    const [mine, reference] = [takenBy(taken, ours), takenBy(taken, go)];
    // The first is that of the round that does not count.
    report.add<OwnFigure>("registrations", { count, peer: ours }, own.slice(1));
    report.add("registrations", { count, peer: go }, reference.samples);
    const ratio = (name: Figure) => mine.ratioTo(reference, name);
    report.target("registrations", "time to register", "× Go", ratio("grantMs"), { atMost: 1.3 });
    report.target("registrations", "CPU to register", "× Go", ratio("grantCpuMs"), { atMost: 2.5 });
    const hold = `CPU to hold, the first ${heldMs / 1e3} s`;
    report.target("registrations", hold, "× Go", ratio("firstCpuMs"), { atMost: 2 });
    report.target("registrations", "CPU to hold, the next", "× Go", ratio("heldCpuMs"), { atMost: 2 });
    const middle = (name: OwnFigure) => median(own.slice(1).map((sample) => sample[name]));
    report.target("registrations", "heap of each", "kB", middle("bytesEach") / 1e3, { atMost: 10 });
    console.log(`${figure(count)} keys with a lease each, held for ${heldMs / 1e3} s; median of ${rounds} rounds\n`);
    const names: readonly Figure[] = ["grantMs", "grantCpuMs", "firstCpuMs", "heldCpuMs"];
    printTable(
      ["", "register, ms", "to Go", "CPU ms", "to Go", "held, CPU ms", "to Go", "then, CPU ms", "to Go"],
      taken.map((of) => [
        of.peer,
        ...names.flatMap((name) => [figure(of.middle(name)), `${figure(of.ratioTo(reference, name))}×`]),
      ]),
    );
    const figures = (["bytesEach", "leaveMs", "leaveCpuMs"] as const).map((name) => figure(middle(name)));
    console.log("");
    printTable(["", "bytes each", "leave, ms", "CPU ms"], [[ours, ...figures]]);
  },
};

async function registerMany(endpoints: readonly string[]): Promise<Sample<OwnFigure>> {
  await using client = new EtcdClient({ endpoints });
  const bytesBefore = await liveBytes();
  const registering = stopwatch();
  const all = Array.from({ length: count }, (_, index) => {
    const register = new ServiceRegister(`${below}${index}`, "10.0.0.1:8080", ttlSeconds, { client });
    // It says that one lease for all would do.
    register.on("warning", () => {});
    return register;
  });
  await Promise.all(all.map(({ ready }) => ready));
  const { tookMs: grantMs, cpuMs: grantCpuMs } = registering();
  const bytesEach = ((await liveBytes()) - bytesBefore) / count;
  const firstCpuMs = await cpuOf(pauseMs, heldMs);
  const heldCpuMs = await cpuOf(pauseMs, heldMs);
  if (all.some(({ status }) => status !== "registered")) throw new Error("one was lost");
  const leaving = stopwatch();
  await Promise.all(all.map((register) => register.close()));
  const { tookMs: leaveMs, cpuMs: leaveCpuMs } = leaving();
  return { grantMs, grantCpuMs, firstCpuMs, heldCpuMs, bytesEach, leaveMs, leaveCpuMs };
}
