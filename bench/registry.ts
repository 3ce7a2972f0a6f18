import { EtcdClient, SubscribeService } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { liveBytes } from "./heap.ts";
import { below, fill, numbers, putInstances } from "./instances.ts";
import { median } from "./measure.ts";
import { figure, printTable } from "./table.ts";

const sizes = [1_000, 10_000, 100_000];
const burst = 1_000;
const subscribers = 100;

export const registry: Bench = {
  title: "a list of many instances: the first list, a burst of changes, many subscribers, memory",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
    const rows: string[][] = [];
    for (const size of sizes) {
      const taken: Figures[] = [];
      for (let round = 0; round < rounds; round++) taken.push(await measure(etcd, cluster.endpoints, size));
      report.add<keyof Figures>("registry", { instances: size, subscribers }, taken);
      const middle = (name: keyof Figures) => figure(median(taken.map((figures) => figures[name])));
      rows.push([
        figure(size),
        middle("firstMs"),
        middle("bytesEach"),
        middle("burstMs"),
        middle("burstCpuMs"),
        middle("manyMs"),
        middle("manyBytesEach"),
        middle("manyBurstMs"),
      ]);
    }
    console.log(`median of ${rounds} rounds; ${burst} changes; ${subscribers} subscribers on one client\n`);
    printTable(
      [
        "instances",
        "first list, ms",
        "bytes each",
        "burst, ms",
        "burst, CPU ms",
        `${subscribers} lists, ms`,
        "bytes each and list",
        "burst to all, ms",
      ],
      rows,
    );
  },
};

interface Figures {
  readonly firstMs: number;
  /** Heap for one instance in one list, its key and value included. */
  readonly bytesEach: number;
  readonly burstMs: number;
  /** Of this process, which writes the changes, too. */
  readonly burstCpuMs: number;
  /** The other subscribers, from the first to the last that is ready. */
  readonly manyMs: number;
  /** Heap for one instance in one more list. */
  readonly manyBytesEach: number;
  readonly manyBurstMs: number;
}

async function measure(etcd: EtcdClient, endpoints: readonly string[], size: number): Promise<Figures> {
  await fill(etcd, size);
  await using client = new EtcdClient({ endpoints: [...endpoints] });
  await client.status();
  const heapBefore = await liveBytes();
  let startedMs = performance.now();
  const services = new SubscribeService(below, { client });
  await services.ready;
  const firstMs = performance.now() - startedMs;
  const bytesEach = ((await liveBytes()) - heapBefore) / size;

  const cpu = process.cpuUsage();
  const burstMs = await changeSome(etcd, size, [services]);
  const { user, system } = process.cpuUsage(cpu);

  const heapOfOne = await liveBytes();
  startedMs = performance.now();
  const others = Array.from({ length: subscribers - 1 }, () => new SubscribeService(below, { client }));
  await Promise.all(others.map(({ ready }) => ready));
  const manyMs = performance.now() - startedMs;
  const manyBytesEach = ((await liveBytes()) - heapOfOne) / size / others.length;
  const manyBurstMs = await changeSome(etcd, size, [services, ...others]);
  await Promise.all([services, ...others].map((list) => list.close()));
  return { firstMs, bytesEach, burstMs, burstCpuMs: (user + system) / 1e3, manyMs, manyBytesEach, manyBurstMs };
}

/** From the first write until every list has the last change, in milliseconds. */
async function changeSome(etcd: EtcdClient, size: number, lists: readonly SubscribeService[]): Promise<number> {
  const startedMs = performance.now();
  const revision = await putInstances(etcd, numbers(Math.min(burst, size)), `b${startedMs}`);
  await Promise.all(lists.map((list) => list.until(() => list.revision >= revision)));
  return performance.now() - startedMs;
}
