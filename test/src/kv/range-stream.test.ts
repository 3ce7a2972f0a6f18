import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EtcdClient, type IterateOptions, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { ForwardingEtcd } from "../../support/forwarding-etcd.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// What follows the first page of an iteration, by the call that etcd has since 3.7.

const keys = 1_500;
const filler = "x".repeat(16 * 1_024);
const big = prefix("big/");

let cluster: EtcdCluster;
let server: ForwardingEtcd;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  server = await ForwardingEtcd.start(cluster.endpoints[0] as string);
  await using writer = new EtcdClient({ endpoints: cluster.endpoints });
  for (let first = 0; first < keys; first += 50) {
    await writer.txn({ success: Array.from({ length: 50 }, (_, i) => putOp(nameOf(first + i), filler)) });
  }
});
afterAll(async () => {
  await etcd?.close();
  await server?.[Symbol.asyncDispose]();
  await cluster?.close();
});
beforeEach(async () => {
  await etcd?.close();
  etcd = new EtcdClient({ endpoints: server.endpoint, requestTimeoutMs: 20_000 });
  server.reset();
});

const nameOf = (number: number) => `big/${String(number).padStart(5, "0")}`;
const all = Array.from({ length: keys }, (_, i) => nameOf(i));

async function namesOf(options: IterateOptions = {}): Promise<string[]> {
  const names: string[] = [];
  for await (const { key } of etcd.iterate(big, options)) names.push(key);
  return names;
}

const asked = () => [server.countOf("Range"), server.countOf("RangeStream")];

test("comes by a stream of the server's, at the revision of the first page", async () => {
  const names: string[] = [];
  for await (const { key, value } of etcd.iterate(big)) {
    if (names.length === 0) await etcd.put(nameOf(keys - 1), "later");
    expect(value.length).toBe(filler.length);
    names.push(key);
  }
  await etcd.put(nameOf(keys - 1), filler);
  expect(names).toEqual(all);
  expect(asked()).toEqual([1, 1]);
  expect(await namesOf({ limit: 350, keysOnly: true })).toEqual(all.slice(0, 350));
  expect(asked()).toEqual([2, 2]);
});

test("comes by pages from a server that does not have the call, which is asked once in a connection", async () => {
  server.hasStream = false;
  expect(await namesOf({ keysOnly: true })).toEqual(all);
  expect(await namesOf()).toEqual(all);
  expect(server.countOf("RangeStream")).toBe(1);
  expect(server.countOf("Range")).toBeGreaterThan(10);
});

test("comes by pages where the call cannot do it: sorted, or bounded by revisions", async () => {
  expect(await namesOf({ sort: { target: "key", order: "descend" }, keysOnly: true })).toEqual(all.toReversed());
  expect(await namesOf({ sort: { target: "version", order: "ascend" }, keysOnly: true })).toHaveLength(keys);
  expect(await namesOf({ minModRevision: 1, keysOnly: true })).toEqual(all);
  expect(server.countOf("RangeStream")).toBe(0);
});

test("goes on where the stream broke, each key once", async () => {
  let broken = 0;
  server.beforePart = (parts) => {
    if (parts === 2 && ++broken < 3) throw new Error("cut");
  };
  expect(await namesOf()).toEqual(all);
  expect(asked()).toEqual([3, 3]);
});

test("is a CompactedError once its revision is compacted away", async () => {
  server.beforePart = async (parts) => {
    if (parts === 2) await etcd.compact((await etcd.put("moves", "on")).revision);
  };
  expect(await etcdErrorOf(namesOf())).toMatchObject({ code: "ETCD_COMPACTED" });
});

test("is held up by a slow reader, and ended by one that leaves", async () => {
  let first: string | undefined;
  for await (const { key } of etcd.iterate(big)) {
    first ??= key;
    if (key !== nameOf(40)) continue;
    // The 24 MB of the range would come in a moment: what the client takes in is its window, beside what it has read.
    await until(() => server.waits);
    const { sentBytes } = server;
    await etcd.get("a-round-trip");
    expect(server.sentBytes).toBe(sentBytes);
    expect(sentBytes).toBeLessThan(8 * 2 ** 20);
    break;
  }
  await until(() => server.cancelled === 1);
  expect(first).toBe(nameOf(0));
});

test("ends with the client", async () => {
  const read = async () => {
    for await (const { key } of etcd.iterate(big)) if (key === nameOf(40)) await etcd.close();
  };
  expect(await etcdErrorOf(read())).toMatchObject({ code: "ETCD_CLOSED" });
  await until(() => server.cancelled === 1);
});

test.each(["closed", "aborted"])("ends while it is not read, when it is %s", async (how) => {
  const controller = new AbortController();
  const iterator = etcd.iterate(big, { signal: controller.signal });
  for (;;) if ((await iterator.next()).value?.key === nameOf(40)) break;
  await until(() => server.waits);
  if (how === "closed") await etcd.close();
  else controller.abort();
  await until(() => server.cancelled === 1);
});
