import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, type KeyValue, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

const MiB = 1024 * 1024;

let cluster: EtcdCluster;
let proxy: FaultProxy;
let writer: EtcdClient;
let reader: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  proxy = await FaultProxy.start(cluster.member(0).endpoint);
  writer = new EtcdClient({ endpoints: cluster.endpoints });
  reader = new EtcdClient({ endpoints: proxy.endpoint });
});
afterAll(async () => {
  await Promise.all([writer.close(), reader.close()]);
  await proxy.close();
  await cluster.close();
});

/** Bytes in buffers that are still held, once what is only on its way out has gone. */
async function heldBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
    least = Math.min(least, process.memoryUsage().arrayBuffers);
  }
  return least;
}

const value = (length: number) => new Uint8Array(length).fill(0x61);

/** One txn of puts, so that its events come in one message. */
function putAll(under: string, names: readonly (string | number)[], length: number) {
  return writer.txn({ success: names.map((name) => putOp(under + name, value(length))) });
}

describe("a mirror holds not much more than its values", () => {
  test("when one entry is left of each message that brought many", async () => {
    const under = "one-of-each/";
    await using mirror = reader.mirror(prefix(under));
    await mirror.ready;
    const before = await heldBytes();
    const passing = Array.from({ length: 49 }, (_, index) => `passing/${index}`);
    let revision = 0;
    for (let round = 0; round < 24; round++) {
      revision = (await putAll(under, [`kept/${round}`, ...passing], 10_000)).revision;
    }
    await until(() => mirror.revision >= revision);
    expect(mirror.size).toBe(73);
    // 0.7 MB of values out of 24 messages of 0.5 MB.
    expect((await heldBytes()) - before).toBeLessThan(5 * MiB);
    await writer.delete(prefix(`${under}passing/`));
    await until(() => mirror.size === 24);
    expect((await heldBytes()) - before).toBeLessThan(3 * MiB);
    expect([...mirror.entries.values()].every(({ value: kept }) => kept.length === 10_000)).toBe(true);
  });

  test("when it was cut off again and again while much was written", async () => {
    const under = "reconnected/";
    await using mirror = reader.mirror(prefix(under));
    await mirror.ready;
    const before = await heldBytes();
    for (let round = 0; round < 12; round++) {
      await proxy.down();
      for (let index = 0; index < 10; index++) await putAll(under, ["passing"], 100_000);
      const { revision } = await putAll(under, [`kept/${round}`], 100);
      await proxy.heal();
      await until(() => mirror.revision >= revision);
    }
    expect(mirror.size).toBe(13);
    expect((await heldBytes()) - before).toBeLessThan(5 * MiB);
  });

  test("when most of a long list went", async () => {
    const under = "list/";
    for (let from = 0; from < 1_000; from += 100) {
      const names = Array.from({ length: 100 }, (_, index) => `${index}/${from}`);
      await putAll(under, names, 10_000);
    }
    const before = await heldBytes();
    await using mirror = reader.mirror(prefix(under));
    await mirror.ready;
    expect((await heldBytes()) - before).toBeGreaterThan(5 * MiB);
    for (let group = 1; group < 100; group++) await writer.delete(prefix(`${under}${group}/`));
    await until(() => mirror.size === 10);
    expect((await heldBytes()) - before).toBeLessThan(2 * MiB);
  });
});

describe("what a caller keeps of a large answer does not keep the answer", () => {
  async function filled(under: string): Promise<void> {
    for (let from = 0; from < 1_000; from += 100) {
      const names = Array.from({ length: 100 }, (_, index) => from + index);
      await putAll(under, names, 1_000);
    }
  }

  /** What ten times a caller's `keep` leaves alive. */
  async function keptBytes(keep: () => Promise<KeyValue | undefined>): Promise<number> {
    await keep();
    const before = await heldBytes();
    const kept: (KeyValue | undefined)[] = [];
    for (let time = 0; time < 10; time++) kept.push(await keep());
    const bytes = (await heldBytes()) - before;
    expect(kept.every((kv) => kv && kv.text.length === 1_000)).toBe(true);
    return bytes;
  }

  test("one entry of each of many lists, once its value was read", async () => {
    await filled("listed/");
    const keep = async () => {
      const kv = (await reader.range(prefix("listed/"))).kvs[777];
      expect(kv?.value).toHaveLength(1_000);
      return kv;
    };
    expect(await keptBytes(keep)).toBeLessThan(2 * MiB);
  });

  test("one of many reads that travelled together", async () => {
    await filled("read/");
    const keep = async () => {
      const kvs = await Promise.all(Array.from({ length: 120 }, (_, index) => reader.get(`read/${index}`)));
      return kvs[100];
    };
    expect(await keptBytes(keep)).toBeLessThan(0.5 * MiB);
  });

  test("one of what a delete or a txn answers", async () => {
    const remove = async () => {
      await filled("deleted/");
      const { previous } = await reader.delete(prefix("deleted/"), { previous: true });
      return previous[777];
    };
    expect(await keptBytes(remove)).toBeLessThan(2 * MiB);
  });

  test("one event of a large batch, and the state before", async () => {
    await using watch = reader.watch(prefix("events/"), { previous: true });
    await watch.ready;
    const batches = watch[Symbol.asyncIterator]();
    const names = Array.from({ length: 100 }, (_, index) => index);
    await putAll("events/", names, 1_000);
    await batches.next();
    let previous = false;
    const keep = async () => {
      previous = !previous;
      await putAll("events/", names, 1_000);
      const { value: batch } = await batches.next();
      const event = batch?.events[50];
      return previous ? event?.previous : event?.kv;
    };
    expect(await keptBytes(keep)).toBeLessThan(0.5 * MiB);
  });

  test("the last event as a watch's evidence", async () => {
    const before = await heldBytes();
    const watches = Array.from({ length: 20 }, (_, index) => reader.watch(prefix(`evidence/${index}/`)));
    await Promise.all(watches.map(({ ready }) => ready));
    for (const [index, watch] of watches.entries()) {
      const names = Array.from({ length: 100 }, (_, name) => name);
      const { revision } = await putAll(`evidence/${index}/`, names, 5_000);
      expect((await watch[Symbol.asyncIterator]().next()).value?.revision).toBe(revision);
    }
    expect((await heldBytes()) - before).toBeLessThan(4 * MiB);
    await Promise.all(watches.map((watch) => watch.close()));
  });
});

test("a value is what it was when its message was left", async () => {
  const lengths = [0, 1, 9, 8_000, 0, 20_000, 100, 16_384, 300_000, 5, 0];
  const watch = reader.watch(prefix("same/"));
  const startRevision = (await watch.ready) + 1;
  await watch.close();
  for (const [index, length] of lengths.entries()) await writer.put(`same/${index}`, Buffer.alloc(length, `${index}`));
  // All of it comes in one message.
  const recorded = record(reader.watch(prefix("same/"), { startRevision }));
  const { kvs } = await reader.range(prefix("same/"));
  for (const [index, length] of lengths.entries()) {
    const kv = kvs.find(({ key }) => key === `same/${index}`);
    expect(kv?.value).toEqual(Buffer.alloc(length, `${index}`));
    expect(kv?.text).toHaveLength(length);
  }
  await until(() => recorded.items.flatMap(({ events }) => events).length === lengths.length);
  for (const { kv } of recorded.items.flatMap(({ events }) => events)) {
    const index = Number(kv.key.slice(5));
    expect(kv.value).toEqual(Buffer.alloc(lengths[index] as number, `${index}`));
  }
});
