import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allKeys, compareValue, EtcdClient, getOp, keyMissing, prefix, putOp, rangeOp } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";

let cluster: EtcdCluster;
let outside: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  outside = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await outside.close();
  await cluster.close();
});

const kinds: [kind: string, at: string, make: () => EtcdClient][] = [
  ["given as an option", "option/ns/", () => new EtcdClient({ endpoints: cluster.endpoints, namespace: "option/ns/" })],
  ["on the connections of a client", "client/ns/", () => outside.namespace("client/ns/")],
  ["within another", "within/ns/", () => outside.namespace("with").namespace("in/").namespace("ns/")],
];

describe.each(kinds)("a namespace %s", (_kind, at, make) => {
  let inside: EtcdClient;

  beforeAll(async () => {
    inside = make();
    const others = ["", ".", "0"].map((end) => putOp(at.slice(0, -1) + end, "outside"));
    await outside.txn({ success: [...others, ...["a", "z", "\u0000"].map((key) => putOp(key, "outside"))] });
    await inside.txn({ success: ["a", "b/1", "b/2", "\uffff"].map((key) => putOp(key, "inside")) });
  });
  afterAll(() => inside.close());

  test("keys are written under the namespace and read without it", async () => {
    expect((await outside.get(`${at}a`))?.text).toBe("inside");
    expect(await inside.get("a")).toMatchObject({ key: "a", text: "inside" });
    expect(await inside.get("z")).toBeUndefined();
    expect((await inside.put("a", "inside", { previous: true })).previous?.key).toBe("a");
  });

  test("every range ends at the namespace's own end", async () => {
    const namesOf = async (range: Parameters<EtcdClient["range"]>[0]) =>
      (await inside.range(range)).kvs.map(({ key }) => key);
    expect(await namesOf(allKeys())).toEqual(["a", "b/1", "b/2", "\uffff"]);
    expect(await namesOf({ start: Buffer.from("b"), end: Buffer.from("\0") })).toEqual(["b/1", "b/2", "\uffff"]);
    expect(await namesOf(prefix("b/"))).toEqual(["b/1", "b/2"]);
    expect(await namesOf(prefix(new Uint8Array([0xff])))).toEqual([]);
    expect((await inside.range(allKeys(), { countOnly: true })).count).toBe(4);
  });

  test("a txn compares, reads and writes inside only", async () => {
    const answer = await inside.txn({
      compare: [keyMissing("z"), compareValue("a", "equal", "inside"), keyMissing(prefix("c/"))],
      success: [putOp("txn", "inside", { previous: true }), getOp("txn"), rangeOp(allKeys(), { countOnly: true })],
    });
    expect(answer.succeeded).toBe(true);
    expect(answer.responses[1]).toMatchObject({ kvs: [{ key: "txn" }] });
    expect(answer.responses[2]).toMatchObject({ count: 5 });
    await inside.delete("txn");
  });

  test("a watch on all keys hears the namespace and nothing else", async () => {
    const watch = inside.watch(allKeys(), { previous: true });
    await watch.ready;
    await outside.put("a", "outside");
    await outside.put(`${at.slice(0, -1)}0`, "outside");
    await inside.put("a", "heard");
    for await (const { events } of watch) {
      expect(events).toMatchObject([{ type: "put", kv: { key: "a", text: "heard" }, previous: { key: "a" } }]);
      break;
    }
  });

  test("a lease lists its keys inside, without the namespace, and not of those of others", async () => {
    const lease = await inside.grantLease(10);
    await inside.put("leased", "v", { lease });
    await outside.put("zzzz", "v", { lease: lease.id });
    expect((await lease.timeToLive()).keys).toEqual(["leased"]);
    await lease.revoke();
  });

  test("deleting all keys deletes those of the namespace", async () => {
    await using other = new EtcdClient({ endpoints: cluster.endpoints, namespace: "other/" });
    await other.put("k", "v");
    expect((await other.delete(allKeys())).deleted).toBe(1);
    expect((await inside.range(allKeys())).count).toBeGreaterThan(0);
  });
});

test("the end of a prefix is worked out on a copy, never in the caller's own bytes", () => {
  const mine = Buffer.from("svc/");
  expect(prefix(mine)).toEqual({ start: Buffer.from("svc/"), end: new Uint8Array(Buffer.from("svc0")) });
  expect(mine.toString()).toBe("svc/");
});

test("an empty namespace is none", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, namespace: "" });
  await outside.put("ns/a", "v");
  expect((await etcd.get("ns/a"))?.key).toBe("ns/a");
});
