import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveClientOptions } from "../../../src/client-options.ts";
import { openProtocol, type Protocol } from "../../../src/connection/index.ts";
import { allKeys, EtcdClient, type KeyValue, keyRange, prefix, putOp } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/index.ts";
import { PageSize, pagedRange } from "../../../src/kv/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

// HARDSHIPS 18: a list of many pages is one state of the store, whatever happens meanwhile.

const keys = 5_000;
const filler = "x".repeat(4_096);

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs: 20_000 });
  for (let first = 0; first < keys; first += 100) {
    await etcd.txn({
      success: Array.from({ length: 100 }, (_, i) => putOp(`big/${String(first + i).padStart(5, "0")}`, `0 ${filler}`)),
    });
  }
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

/** What every generation writes into all of a sample of keys, in one txn: no state of the store has two of them. */
const sample = Array.from({ length: 100 }, (_, i) => `big/${String(i * 50).padStart(5, "0")}`);

function generations(kvs: readonly KeyValue[]): Set<string> {
  const wanted = new Set(sample);
  return new Set(kvs.filter(({ key }) => wanted.has(key)).map(({ text }) => text.split(" ")[0] as string));
}

/** Writes generation after generation until it is stopped. */
function startWriter(): { stop(): Promise<void> } {
  let running = true;
  let written = 0;
  const writing = (async () => {
    while (running) {
      written++;
      await etcd.txn({ success: sample.map((key) => putOp(key, `${written} ${filler}`)) });
    }
  })();
  return {
    async stop() {
      running = false;
      await writing;
    },
  };
}

test("5000 keys of 4 KB arrive complete, in order, at one revision, while they are being written", async () => {
  const writer = startWriter();
  for (let i = 0; i < 3; i++) {
    const { kvs, count, revision } = await etcd.range(prefix("big/"));
    expect(count).toBe(keys);
    expect(new Set(kvs.map(({ key }) => key)).size).toBe(keys);
    expect(kvs.map(({ key }) => key)).toEqual(kvs.map(({ key }) => key).sort());
    expect(generations(kvs).size).toBe(1);
    expect(Math.max(...kvs.map(({ modRevision }) => modRevision))).toBeLessThanOrEqual(revision);
  }
  await writer.stop();
});

/** A real connection on which something happens before each page after the first. */
function disturbed(endpoints: readonly string[], disturb: (page: number) => Promise<void>): Protocol & Disposable {
  const protocol = openProtocol({
    ...resolveClientOptions({ endpoints, requestTimeoutMs: 20_000 }),
    runtime: systemRuntime,
  });
  let page = 0;
  const range: Protocol["range"] = async (request, options) => {
    if (request.revision !== undefined) await disturb(++page);
    return protocol.range(request, options);
  };
  return { range, [Symbol.dispose]: () => protocol.close() } as Protocol & Disposable;
}

async function compactAll(): Promise<void> {
  const { revision } = await etcd.put("moves", "on");
  await cluster.compact(revision);
}

test("a list that is compacted away between two pages is read anew, as one state", async () => {
  const writer = startWriter();
  using protocol = disturbed(cluster.endpoints, async (page) => {
    if (page === 1 || page === 3) await compactAll();
  });
  const { kvs, count } = await pagedRange(protocol, prefix("big/"));
  expect(count).toBe(keys);
  expect(kvs).toHaveLength(keys);
  expect(generations(kvs).size).toBe(1);
  await writer.stop();
});

test("a list that is read again takes fewer pages, and is as complete", async () => {
  let pages = 1;
  using protocol = disturbed(cluster.endpoints, async () => {
    pages++;
  });
  const pageSize = new PageSize();
  const first = await pagedRange(protocol, prefix("big/"), { pageSize });
  const pagesAtFirst = pages;
  pages = 1;
  const again = await pagedRange(protocol, prefix("big/"), { pageSize });
  // 5 000 of 4 KB in pages of 2 MiB, and before these two smaller ones.
  expect([pagesAtFirst, pages]).toEqual([12, 10]);
  expect(again.kvs).toEqual(first.kvs);
});

test("a list of 20 MB arrives over a way of 150 ms there and back", async () => {
  await using proxy = await FaultProxy.start(cluster.endpoints[0] as string);
  await using far = new EtcdClient({ endpoints: proxy.endpoint });
  proxy.delay(75);
  const { kvs } = await far.range(prefix("big/"));
  expect(kvs).toHaveLength(keys);
});

test("a list that is compacted away again and again is an error in the end, not a loop", async () => {
  let pages = 0;
  using protocol = disturbed(cluster.endpoints, (page) => {
    pages = page;
    return compactAll();
  });
  expect(await etcdErrorOf(pagedRange(protocol, prefix("big/")))).toMatchObject({ code: "ETCD_COMPACTED" });
  expect(pages).toBe(4);
});

test("a list whose etcd is wiped between two pages is read anew from the new history", async () => {
  await using small = await startEtcd();
  await using client = new EtcdClient({ endpoints: small.endpoints, requestTimeoutMs: 20_000 });
  const fill = (value: string) =>
    Promise.all(
      Array.from({ length: 4 }, (_, part) =>
        client.txn({ success: Array.from({ length: 100 }, (_, i) => putOp(`w/${part * 100 + i}`, value)) }),
      ),
    );
  for (let i = 0; i < 3; i++) await fill("before");
  using protocol = disturbed(small.endpoints, async (page) => {
    if (page > 1) return;
    await small.wipe();
    await fill("after");
  });
  const { kvs } = await pagedRange(protocol, prefix("w/"));
  expect(kvs).toHaveLength(400);
  expect(new Set(kvs.map(({ text }) => text))).toEqual(new Set(["after"]));
});

test("a revision of the caller's own that is compacted is an error, not another state", async () => {
  const { revision } = await etcd.put("moves", "on");
  await etcd.put("moves", "on");
  await cluster.compact(revision + 1);
  expect(await etcdErrorOf(etcd.range(prefix("big/"), { revision }))).toMatchObject({ code: "ETCD_COMPACTED" });
});

test("limit, keysOnly and countOnly give what they say, over pages too", async () => {
  const limited = await etcd.range(prefix("big/"), { limit: 700 });
  expect(limited).toMatchObject({ count: keys });
  expect(limited.kvs.map(({ key }) => key)).toEqual(
    Array.from({ length: 700 }, (_, i) => `big/${String(i).padStart(5, "0")}`),
  );
  const named = await etcd.range(prefix("big/"), { keysOnly: true });
  expect(named.kvs).toHaveLength(keys);
  expect(named.kvs.every(({ value }) => value.length === 0)).toBe(true);
  expect(await etcd.range(prefix("big/"), { countOnly: true })).toMatchObject({ kvs: [], count: keys });
  expect(await etcd.range(prefix("nothing/"))).toMatchObject({ kvs: [], count: 0 });
});

test("a range ends before its end, a prefix at its last key, and all keys are all", async () => {
  await etcd.txn({ success: ["r/", "r/a", "r/\uffff", "r0", "s"].map((key) => putOp(key, key)) });
  const namesOf = async (range: Parameters<EtcdClient["range"]>[0]) =>
    (await etcd.range(range, { keysOnly: true })).kvs.map(({ key }) => key);
  expect(await namesOf(prefix("r/"))).toEqual(["r/", "r/a", "r/\uffff"]);
  expect(await namesOf(keyRange("r/", "r0"))).toEqual(["r/", "r/a", "r/\uffff"]);
  expect(await namesOf("r/")).toEqual(["r/"]);
  const all = await namesOf(allKeys());
  expect(all).toHaveLength(keys + 6);
  await etcd.put(new Uint8Array([0xff, 0xff]), "last");
  expect((await etcd.range(prefix(new Uint8Array([0xff])))).kvs).toHaveLength(1);
  expect(await namesOf(allKeys())).toHaveLength(keys + 7);
});
