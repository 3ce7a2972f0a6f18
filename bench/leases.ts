import { setTimeout as sleep } from "node:timers/promises";
import { EtcdClient, prefix } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { collectGarbage } from "./heap.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import { type Sample, stopwatch } from "./measure.ts";
import { below, type Register, registrars } from "./registrars.ts";
import { figure, printTable } from "./table.ts";

const count = 2_000;
const ttlSeconds = 10;
const holdMs = 10_000;
const settleMs = 1_000;
const keys = Array.from({ length: count }, (_, index) => `m${String(index).padStart(4, "0")}`);

export const leases: Bench = {
  title: "registering 2 000 instances and holding them for 10 s: ours (three ways) and etcd3",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    const contestants = Object.entries(registrars);
    // A warm-up, without the ten seconds; what it takes is reported: a service registers once.
    const first = new Map<string, number>();
    for (const [peer, register] of contestants) {
      const registering = stopwatch();
      const registered = await register(cluster.endpoints, keys, ttlSeconds);
      first.set(peer, registering().tookMs);
      await registered.leave();
    }
    const taken = await inTurn(
      contestants.map(([peer, register]) => ({ peer, measure: () => hold(register, cluster.endpoints) })),
      rounds,
      { warmUp: false },
    );
    const reference = takenBy(taken, "etcd3");
    for (const { peer, samples } of taken) report.add("leases", { instances: count, ttlSeconds, peer }, samples);
    const ratio = (name: "registerMs" | "holdCpuMs") => takenBy(taken, "RegistrationGroup").ratioTo(reference, name);
    report.target("leases", "time to register, RegistrationGroup", "× etcd3", ratio("registerMs"), { atMost: 1 / 15 });
    report.target("leases", "CPU to hold, RegistrationGroup", "× etcd3", ratio("holdCpuMs"), { atMost: 1 / 50 });
    const what = `${figure(count)} instances, TTL ${ttlSeconds} s, held for ${holdMs / 1e3} s`;
    console.log(`${what}; median of ${rounds} rounds\n`);
    printTable(
      ["", "first, ms", "register, ms", "to etcd3", "CPU ms", "to etcd3", "hold, CPU ms", "to etcd3"],
      taken.map((of) => [
        of.peer,
        figure(first.get(of.peer) ?? Number.NaN),
        figure(of.middle("registerMs")),
        `${figure(of.ratioTo(reference, "registerMs"))}×`,
        figure(of.middle("registerCpuMs")),
        `${figure(of.ratioTo(reference, "registerCpuMs"))}×`,
        figure(of.middle("holdCpuMs")),
        `${figure(of.ratioTo(reference, "holdCpuMs"))}×`,
      ]),
    );
  },
};

async function hold(
  register: Register,
  endpoints: readonly string[],
): Promise<Sample<"registerMs" | "registerCpuMs" | "holdCpuMs">> {
  const registering = stopwatch();
  const registered = await register(endpoints, keys, ttlSeconds);
  const { tookMs: registerMs, cpuMs: registerCpuMs } = registering();
  await check(endpoints);
  // What registering left behind is not what holding costs.
  collectGarbage();
  await sleep(settleMs);
  const holding = stopwatch();
  await sleep(holdMs);
  const { cpuMs: holdCpuMs } = holding();
  await registered.leave();
  return { registerMs, registerCpuMs, holdCpuMs };
}

async function check(endpoints: readonly string[]): Promise<void> {
  await using client = new EtcdClient({ endpoints });
  const { count: found } = await client.range(prefix(below), { countOnly: true });
  if (found !== count) throw new Error(`${found} instances stand in etcd, not ${count}`);
}
