import { afterAll, beforeAll, expect, test } from "vitest";
import { Mutex, Queue, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { allKeys, EtcdClient, type InvalidOptionError, putOp } from "../../../src/index.ts";
import { runtimeOf, ServerLimits } from "../../../src/internal/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { watcherCounts } from "../../support/gateway/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// Several namespaces on the connections of one client.

let cluster: EtcdCluster;
let link: FaultProxy;
let others: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  link = await FaultProxy.start(cluster.member(0).endpoint);
  others = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await others?.close();
  await link?.close();
  await cluster?.close();
});

const events = ({ items }: ReturnType<typeof record<{ events: readonly { kv: { key: string } }[] }>>) =>
  items.flatMap((batch) => batch.events.map(({ kv }) => kv.key));

test("their watches share one stream, hear of their own keys, and go on after an outage", async () => {
  await using client = new EtcdClient({ endpoints: link.endpoint });
  const names = ["a/", "team-b/", "team-b/c/", "\u00e9/"];
  const teams = names.map((name) => client.namespace(name));
  const watches = [client, ...teams].map((team) => team.watch(allKeys()));
  const mirrors = teams.map((team) => team.mirror(allKeys()));
  await Promise.all([...watches, ...mirrors].map(({ ready }) => ready));
  const { streams } = await watcherCounts(cluster.member(0).endpoint);
  expect(streams).toBe(1);
  const recorded = watches.map((watch) => record(watch));
  // One revision for all of them.
  await others.txn({ success: names.map((name) => putOp(`${name}k1`, name)) });
  await until(() => recorded.every((each) => events(each).length > 0));
  link.cut();
  await link.down();
  await others.txn({ success: names.map((name) => putOp(`${name}k2`, name)) });
  await others.delete(`${names[0]}k1`);
  await link.heal();
  await until(() => recorded.slice(1).every((each) => events(each).includes("k2")));
  await until(() => events(recorded[0] as (typeof recorded)[0]).length === 9);
  expect(recorded.map(events)).toEqual([
    [...names.map((name) => `${name}k1`), ...names.map((name) => `${name}k2`), "a/k1"],
    ["k1", "k2", "k1"],
    ["k1", "c/k1", "k2", "c/k2"],
    ["k1", "k2"],
    ["k1", "k2"],
  ]);
  await until(() => mirrors[0]?.size === 1);
  expect(mirrors.map(({ entries }) => [...entries.keys()])).toEqual(
    [["k2"], ["c/k1", "c/k2", "k1", "k2"], ["k1", "k2"], ["k1", "k2"]].map((keys) => expect.arrayContaining(keys)),
  );
  expect(recorded.map(({ end }) => end)).toEqual(recorded.map(() => undefined));
  await others.delete(allKeys());
});

test("closing one ends what is its own, and nothing of the others", async () => {
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  const [one, two] = [client.namespace("one/"), client.namespace("two/")];
  const inner = one.namespace("inner/");
  const all = [client, one, two, inner];
  const leases = await Promise.all(all.map((each) => each.grantLease(60)));
  const detached = await one.grantLease(60, { keepAlive: false });
  const mirrors = all.map((each) => each.mirror("k"));
  const watches = all.map((each) => record(each.watch("k")));
  await Promise.all(mirrors.map(({ ready }) => ready));
  await one.close();
  expect(all.map(({ closed }) => closed)).toEqual([false, true, false, true]);
  expect(mirrors.map(({ status }) => status)).toEqual(["live", "failed", "live", "failed"]);
  for (const index of [1, 3]) expect(await watches[index]?.ended).toMatchObject({ error: { code: "ETCD_CLOSED" } });
  expect(leases.map(({ signal }) => signal.aborted)).toEqual([false, true, false, false]);
  const left = await client.leases();
  expect([...leases, detached].map(({ id }) => left.includes(id))).toEqual([true, false, true, true, true]);
  for (const closed of [one, inner]) {
    expect(await etcdErrorOf(closed.get("k"))).toMatchObject({ code: "ETCD_CLOSED" });
    expect(() => closed.watch("k")).toThrow("closed");
    expect(() => closed.namespace("x")).toThrow("closed");
  }
  await two.put("k", "still");
  await until(() => mirrors[2]?.get("k")?.text === "still");
  await client.close();
  expect(two.closed).toBe(true);
  expect(mirrors[2]?.status).toBe("failed");
  const { leases: remaining } = { leases: await others.leases() };
  expect(leases.filter(({ id }) => remaining.includes(id))).toEqual([]);
  expect(remaining).toContain(detached.id);
});

test("recipes work in one as in a client, and leave it open", async () => {
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  const team = client.namespace("recipes/");
  expect(team).toBeInstanceOf(EtcdClient);
  expect(runtimeOf(team)).toBe(runtimeOf(client));
  expect(ServerLimits.of(team)).toBe(ServerLimits.of(client));
  {
    await using services = new SubscribeService("/svc/", { client: team });
    await using server = new ServiceRegister("/svc/a", "10.0.0.1:80", 5, { client: team });
    await server.ready;
    await services.until((list) => list.length === 1);
    expect((await client.get("recipes//svc/a"))?.text).toBe("10.0.0.1:80");
    await using mutex = new Mutex("/lock", { client: team });
    const lock = await mutex.acquire();
    expect(await client.get(`recipes/${lock.key}`)).toBeDefined();
    await using queue = new Queue("/jobs", { client: team });
    await queue.enqueue("build");
    const job = await queue.dequeue();
    expect(job.value.toString()).toBe("build");
    await job.ack();
  }
  expect(team.closed).toBe(false);
  expect((await client.range(allKeys())).kvs.filter(({ key }) => key.startsWith("recipes/"))).toEqual([]);
});

test("what is no namespace is refused by name", async () => {
  await using client = new EtcdClient({ endpoints: cluster.endpoints });
  for (const wrong of ["", 5, undefined, new Uint8Array(2), ["a"]]) {
    const refused = () => client.namespace(wrong as string);
    expect(refused).toThrow("namespace: namespace must be a string that is not empty");
    expect(
      (() => {
        try {
          refused();
        } catch (error) {
          return (error as InvalidOptionError).code;
        }
      })(),
    ).toBe("ETCD_INVALID_OPTION");
  }
});
