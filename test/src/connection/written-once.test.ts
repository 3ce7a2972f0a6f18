import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, getOp, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 1: a write goes to another endpoint only if it provably was not executed.

let cluster: EtcdCluster;
let direct: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  direct = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await direct.close();
  await cluster.close();
});

async function versionOf(key: string): Promise<number> {
  return (await direct.get(key))?.version ?? 0;
}

const writes = {
  put: (etcd: EtcdClient, key: string) => etcd.put(key, "v"),
  txn: (etcd: EtcdClient, key: string) => etcd.txn({ success: [putOp(key, "v"), getOp(key)] }),
  batch: (etcd: EtcdClient, key: string) => {
    const neighbour = etcd.put(`${key}/neighbour`, "v", { batch: true });
    neighbour.catch(() => {});
    return Promise.all([etcd.put(key, "v", { batch: true }), neighbour]);
  },
};

test.each(Object.entries(writes))(
  "a %s whose connection breaks before the answer is executed once, and its outcome is unknown",
  async (kind, write) => {
    await using one = await FaultProxy.start(cluster.member(0).endpoint);
    await using two = await FaultProxy.start(cluster.member(0).endpoint);
    await using etcd = new EtcdClient({ endpoints: [one.endpoint, two.endpoint] });
    await etcd.get("warm");
    for (const proxy of [one, two]) proxy.blackHole("toClient");
    const key = `cut/${kind}`;
    const failing = etcdErrorOf(write(etcd, key));
    await until(async () => (await versionOf(key)) === 1);
    for (const proxy of [one, two]) proxy.cut();
    for (const proxy of [one, two]) await proxy.heal();
    expect(await failing).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: true });
    expect(await versionOf(key)).toBe(1);
  },
);

test("a put whose answer never comes fails within its time with an unknown outcome, executed once", async () => {
  await using one = await FaultProxy.start(cluster.member(0).endpoint);
  await using two = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: [one.endpoint, two.endpoint] });
  await etcd.get("warm");
  for (const proxy of [one, two]) proxy.blackHole("toClient");
  expect(await etcdErrorOf(etcd.put("silent", "v", { timeoutMs: 1_000 }))).toMatchObject({
    code: "ETCD_TIMEOUT",
    outcomeUnknown: true,
  });
  for (const proxy of [one, two]) await proxy.heal();
  await etcd.get("warm");
  expect(await versionOf("silent")).toBe(1);
});

test("a read whose connection breaks is asked again and succeeds", async () => {
  await direct.put("read", "v");
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcd.get("read");
  proxy.blackHole("toClient");
  const reads = [etcd.get("read"), etcd.txn({ success: [getOp("read")] }), etcd.status()] as const;
  proxy.cut();
  await proxy.heal();
  const [kv, txn] = await Promise.all(reads);
  expect(kv?.text).toBe("v");
  expect(txn.responses[0]).toMatchObject({ type: "range", count: 1 });
});

test.each([false, true])(
  "under a link that breaks all the time every acknowledged put is there, and none is there twice (autoBatch: %s)",
  async (autoBatch) => {
    await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
    await using etcd = new EtcdClient({ endpoints: proxy.endpoint, autoBatch });
    const space = `storm/${autoBatch}/`;
    let running = true;
    const acknowledged: string[] = [];
    const writer = async (name: string) => {
      for (let i = 0; running; i++) {
        const key = `${space}${name}/${i}`;
        await etcd.put(key, "v").then(
          () => acknowledged.push(key),
          () => {},
        );
      }
    };
    const writing = Promise.all(["a", "b", "c", "d", "e", "f"].map(writer));
    for (let cuts = 0; cuts < 20; cuts++) {
      const before = acknowledged.length;
      await until(() => acknowledged.length >= before + 5);
      proxy.cut();
    }
    running = false;
    await writing;
    const { kvs } = await direct.range(prefix(space));
    expect(kvs.filter(({ version }) => version !== 1)).toEqual([]);
    const keys = new Set(kvs.map(({ key }) => key));
    expect(acknowledged.filter((key) => !keys.has(key))).toEqual([]);
  },
);
