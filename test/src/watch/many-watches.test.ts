import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

const count = 300;

let cluster: EtcdCluster;
let proxy: FaultProxy;
let writer: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  proxy = await FaultProxy.start(cluster.member(0).endpoint);
  writer = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await writer?.close();
  await proxy?.close();
  await cluster?.close();
});

const names = Array.from({ length: count }, (_, index) => String(index).padStart(3, "0"));

/** How many reads and txns etcd has been asked for meanwhile. */
async function readsDuring(work: () => Promise<void>): Promise<number> {
  const served = async () => {
    const { Range = 0, Txn = 0 } = await requestsServed(cluster.member(0).endpoint);
    return Range + Txn;
  };
  const before = await served();
  await work();
  return (await served()) - before;
}

test("watches that open at once, and all that go on after a cut, ask in few requests, and each gets its own events", async () => {
  await using reader = new EtcdClient({ endpoints: proxy.endpoint });
  const watches = names.map((name) => reader.watch(prefix(`each/${name}/`)));
  const opening = await readsDuring(async () => {
    await Promise.all(watches.map(({ ready }) => ready));
  });
  // At most 127 in a request: three to read where they begin, and three or six to prove the history.
  expect(opening).toBeLessThan(20);
  const recorded = watches.map(record);
  const putAll = (round: string) =>
    Promise.all(names.map((name) => writer.put(`each/${name}/${round}`, "", { batch: true })));
  await putAll("a");
  await until(() => recorded.every(({ items }) => items.length === 1));
  const resuming = await readsDuring(async () => {
    proxy.cut();
    await putAll("b");
    await until(() => recorded.every(({ items }) => items.length === 2));
  });
  // Of these three or more are the puts.
  expect(resuming).toBeLessThan(30);
  for (const [index, { items }] of recorded.entries()) {
    const keys = items.flatMap(({ events }) => events.map(({ kv }) => kv.key));
    expect(keys).toEqual([`each/${names[index]}/a`, `each/${names[index]}/b`]);
  }
});

test("mirrors of single keys that begin at once list and prove in few requests, each with its own key", async () => {
  await Promise.all(names.map((name) => writer.put(`alone/${name}`, `value of ${name}`, { batch: true })));
  await using reader = new EtcdClient({ endpoints: proxy.endpoint });
  // Every second one has nothing yet.
  const keys = names.flatMap((name) => [`alone/${name}`, `alone/${name}/missing`]);
  const mirrors = keys.map((key) => reader.mirror(key));
  const listing = await readsDuring(async () => {
    await Promise.all(mirrors.map(({ ready }) => ready));
  });
  // At most 127 in a request: five lists, and five or ten proofs.
  expect(listing).toBeLessThan(30);
  const seen = mirrors.map(({ entries }) => [...entries.values()].map(({ key, text }) => [key, text]));
  expect(seen).toEqual(names.flatMap((name) => [[[`alone/${name}`, `value of ${name}`]], []]));
  const { revision } = await writer.put("alone/000/missing", "there");
  await until(() => mirrors[1]?.get("alone/000/missing")?.modRevision === revision);
});

test("of many that come back together those compacted away end with that error, and the others go on", async () => {
  await using reader = new EtcdClient({ endpoints: proxy.endpoint });
  const some = names.slice(0, 100);
  const open = async (side: string) => {
    const watches = some.map((name) => reader.watch(prefix(`${side}/${name}/`)));
    await Promise.all(watches.map(({ ready }) => ready));
    return watches.map(record);
  };
  const sighted = await open("sighted");
  const behind = await open("behind");
  const seen: number[] = [];
  for (const name of some) seen.push((await writer.put(`sighted/${name}/a`, "")).revision);
  await until(() => sighted.every(({ items }) => items.length === 1));
  await proxy.down();
  await cluster.compact(seen[0] as number);
  await proxy.heal();
  for (const name of some) await writer.put(`sighted/${name}/b`, "");
  await until(() => sighted.every(({ items }) => items.length === 2));
  for (const { error } of await Promise.all(behind.map(({ ended }) => ended))) {
    expect(error).toMatchObject({ code: "ETCD_COMPACTED", compactRevision: seen[0] });
  }
  expect(sighted.filter(({ end }) => end)).toEqual([]);
});
