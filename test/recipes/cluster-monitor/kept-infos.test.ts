import { expect, test } from "vitest";
import { ClusterMonitor } from "../../../recipes/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

test("in an outage a node keeps a few of its infos, however many updates wait, and the newest one is written", async () => {
  await using lab = new VirtualLab("kept infos");
  const { etcd, link } = lab.client();
  const monitor = new ClusterMonitor("/nodes/", { client: etcd, ttlSeconds: 60 });
  lab.also(() => monitor.close());
  monitor.on("warning", () => {});
  const membership = monitor.join("worker-1", { update: 0 });
  await lab.until(membership.ready);
  link.cut();
  const waiting: ReturnType<typeof outcomeOf>[] = [];
  const heapAfter = async (updates: number) => {
    while (waiting.length < updates) {
      const info = { update: waiting.length + 1, notes: Array.from({ length: 2_000 }, (_, at) => waiting.length + at) };
      waiting.push(outcomeOf(membership.update(info)));
    }
    await lab.pass(10);
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = await heapAfter(500);
  const grown = (await heapAfter(2_500)) - before;
  // 2 000 infos have 16 kB or more each, once as given and once as written.
  expect(grown).toBeLessThan(8 * 2 ** 20);
  link.join();
  const outcomes = await Promise.all(waiting.map((each) => lab.until(each).then(() => each)));
  expect(outcomes.filter(({ error }) => error !== undefined)).toEqual([]);
  await lab.pass(10_000);
  expect(monitor.nodes()).toMatchObject([{ info: { update: 2_500 } }]);
});
