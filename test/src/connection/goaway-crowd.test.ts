import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { Ingress } from "../../support/ingress.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// What stands before etcd ends connections by their age (max_connection_age), in the midst of whatever is under way.

const crowd = 600;

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

function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

test("a GOAWAY under a crowd: what it leaves out is repeated, nothing fails, nothing is executed twice", async () => {
  await direct.get("warm");
  const before = handles();
  const ingress = await Ingress.start(cluster.member(0).endpoint);
  const etcd = new EtcdClient({ endpoints: ingress.endpoint, requestTimeoutMs: 60_000 });
  const spaces = ["a/", "b/", "c/"];
  const statuses: string[] = [];
  const watches = spaces.map((space) => etcd.watch(prefix(space), { onStatus: (status) => statuses.push(status) }));
  const recordings = watches.map((watch) => record(watch));
  await Promise.all([etcd.get("warm"), ...watches.map(({ ready }) => ready)]);
  const statusesBefore = [...statuses];

  // Each connection ends with most of what was sent on it above its last id.
  ingress.mostStreams = 100;
  const keys = Array.from({ length: crowd }, (_, index) => `${spaces[index % spaces.length]}${index}`);
  const puts = keys.map((key) => etcd.put(key, "v"));
  const txns = keys.map((key) => etcd.txn({ success: [putOp(`${key}/txn`, "v")] }));
  const gets = keys.map((key) => etcd.get(key));
  ingress.goaway();
  await Promise.all([...puts, ...txns, ...gets]);
  expect(ingress.ended).toBeGreaterThanOrEqual((2 * crowd) / ingress.mostStreams);

  // On the connection that was to end, too: its streams go on.
  expect(statuses).toEqual(statusesBefore);
  for (const [index, { items, end }] of recordings.entries()) {
    const events = () => items.flatMap((batch) => batch.events);
    await until(() => events().length >= (2 * crowd) / spaces.length);
    const { kvs } = await direct.range(prefix(spaces[index] as string));
    const inOrder = [...kvs].sort((a, b) => a.modRevision - b.modRevision);
    expect(events().map(({ kv }) => kv.key)).toEqual(inOrder.map(({ key }) => key));
    expect(new Set(kvs.map(({ version }) => version))).toEqual(new Set([1]));
    expect(end).toBeUndefined();
  }

  await etcd.close();
  await until(() => ingress.connections === 0);
  await ingress[Symbol.asyncDispose]();
  const grown = () => Object.entries(handles()).filter(([name, count]) => count > (before[name] ?? 0));
  await until(() => grown().length === 0, { message: () => JSON.stringify(grown()) });
});
