import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GrpcProtocol } from "../../../src/connection/grpc-protocol.ts";
import { EtcdClient, type MirrorStatus, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { seeded } from "../../support/seeded.ts";
import { randomOps } from "../../support/store-model.ts";
import { until } from "../../support/until.ts";

describe("a compaction while the link is down", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;
  let round = 0;
  let space: string;

  beforeAll(async () => {
    cluster = await startEtcd();
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: proxy.endpoint });
  });
  beforeEach(() => {
    space = `round-${++round}/`;
  });
  afterAll(async () => {
    await Promise.all([writer.close(), reader.close()]);
    await proxy.close();
    await cluster.close();
  });

  async function whileDown<T>(work: () => Promise<T>): Promise<T> {
    await proxy.down();
    const result = await work();
    await proxy.heal();
    return result;
  }

  test("leaves the mirror as etcd is, with every deletion reported exactly and a key made again reported as such", async () => {
    for (const key of ["kept", "changed", "gone", "remade"]) await writer.put(space + key, "before");
    const statuses: MirrorStatus[] = [];
    await using mirror = reader.mirror(prefix(space), { onStatus: (status) => statuses.push(status) });
    await mirror.ready;
    const before = mirror.entries;
    const recorded = record(mirror);
    const revision = await whileDown(async () => {
      await writer.put(`${space}changed`, "after");
      await writer.delete(`${space}gone`);
      await writer.delete(`${space}remade`);
      await writer.put(`${space}remade`, "before");
      await writer.put(`${space}came and went`, "");
      await writer.delete(`${space}came and went`);
      const made = await writer.put(`${space}new`, "after");
      await cluster.compact(made.revision);
      return made.revision;
    });
    await until(() => mirror.revision >= revision && mirror.status === "live");
    expect(stateOf(mirror.entries.values())).toEqual(stateOf((await writer.range(prefix(space))).kvs));
    await until(() => recorded.items.length === 2);
    const resynced = recorded.items[1];
    const names = (kvs: readonly { key: string }[] = []) => kvs.map(({ key }) => key.slice(space.length)).sort();
    expect(resynced?.type).toBe("resynced");
    expect(names(resynced?.puts)).toEqual(["changed", "new", "remade"]);
    expect(names(resynced?.deletes)).toEqual(["gone", "remade"]);
    expect(stateOf(resynced?.deletes ?? [])).toEqual(
      stateOf([...before.values()].filter(({ key }) => /gone|remade/.test(key))),
    );
    expect(statuses).toEqual(["live", "stale", "stale", "live"]);
  });

  test("under which a key came and went unseen still gives readers the new revision", async () => {
    await using mirror = reader.mirror(prefix(space));
    await mirror.ready;
    const recorded = record(mirror);
    const revision = await whileDown(async () => {
      await writer.put(`${space}a`, "");
      const deleted = await writer.delete(`${space}a`);
      await cluster.compact(deleted.revision);
      return deleted.revision;
    });
    await until(() => recorded.items.length === 2);
    expect(recorded.items[1]).toEqual({ type: "resynced", revision, puts: [], deletes: [] });
  });

  test("ends a bare watch with how far it is compacted, and a watch from the next revision goes on", async () => {
    await writer.put(`${space}a`, "before");
    await using watch = reader.watch(prefix(space));
    await watch.ready;
    const recorded = record(watch);
    const revisions = await whileDown(async () => {
      const written: number[] = [];
      for (let count = 0; count < 5; count++) written.push((await writer.put(`${space}a`, `${count}`)).revision);
      await cluster.compact(written[3] as number);
      return written;
    });
    const { error } = await recorded.ended;
    expect(error).toMatchObject({ name: "CompactedError", code: "ETCD_COMPACTED", compactRevision: revisions[3] });
    expect(recorded.items).toEqual([]);
    await using next = reader.watch(prefix(space), { startRevision: (revisions[3] as number) + 1 });
    const { value } = await next[Symbol.asyncIterator]().next();
    expect(value?.events.map(({ kv }) => kv.modRevision)).toEqual(revisions.slice(4));
  });

  test("at the very next revision, a deletion, is not missed by a mirror, and ends a watch by an error", async () => {
    await writer.put(`${space}a`, "before");
    await writer.put(`${space}b`, "before");
    await using mirror = reader.mirror(prefix(space));
    await using watch = reader.watch(prefix(space));
    await Promise.all([mirror.ready, watch.ready]);
    const recorded = { mirror: record(mirror), watch: record(watch) };
    const revision = await whileDown(async () => {
      const deleted = await writer.delete(`${space}a`);
      await cluster.compact(deleted.revision);
      return deleted.revision;
    });
    await until(() => mirror.status === "live" && mirror.revision >= revision);
    expect([...mirror.entries.keys()]).toEqual([`${space}b`]);
    await until(() => recorded.mirror.items.length === 2);
    expect(recorded.mirror.items[1]?.deletes.map(({ key }) => key)).toEqual([`${space}a`]);
    expect((await recorded.watch.ended).error).toMatchObject({ code: "ETCD_COMPACTED", compactRevision: revision });
  });

  test("up to the revision that a watch has seen does it no harm", async () => {
    await using watch = reader.watch(prefix(space));
    await using mirror = reader.mirror(prefix(space));
    await Promise.all([watch.ready, mirror.ready]);
    const recorded = { mirror: record(mirror), watch: record(watch) };
    const seen = (await writer.put(`${space}a`, "1")).revision;
    await until(() => recorded.watch.items.length === 1 && mirror.revision === seen);
    const missed = await whileDown(async () => {
      await cluster.compact(seen);
      await writer.put(`${space}a`, "2");
      return (await writer.delete(`${space}a`)).revision;
    });
    await until(() => recorded.watch.items.at(-1)?.revision === missed && mirror.revision === missed);
    const events = recorded.watch.items.flatMap((batch) => batch.events);
    expect(events.map(({ type, kv }) => [type, kv.modRevision])).toEqual([
      ["put", seen],
      ["put", missed - 1],
      ["delete", missed],
    ]);
    expect(recorded.mirror.items.map(({ type }) => type)).not.toContain("resynced");
  });

  test("ends a watch that asks for a revision that is gone", async () => {
    const { revision } = await writer.put(`${space}a`, "");
    await cluster.compact(revision);
    await using watch = reader.watch(`${space}a`, { startRevision: revision - 1 });
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ compactRevision: revision });
  });

  test("at random leaves a mirror true and its batches exact, and never looks like another history", async () => {
    const random = seeded("compaction");
    const keys = ["a", "b", "c", "d", "e", "f"].map((name) => space + name);
    await using mirror = reader.mirror(prefix(space));
    await mirror.ready;
    const replica = new Replica();
    const replicated = (async () => {
      for await (const batch of mirror) replica.apply(batch);
    })();
    await using watch = reader.watch(prefix(space));
    const recorded = record(watch);
    await watch.ready;
    const write = async () => {
      let revision = mirror.revision;
      for (const op of randomOps(random, keys, 6)) {
        if (op.type === "put") revision = (await writer.put(op.key, op.value)).revision;
        else revision = (await writer.delete(op.key)).revision;
      }
      return revision;
    };
    for (let turn = 0; turn < 12; turn++) {
      await write();
      const from = mirror.revision;
      await whileDown(async () => {
        const to = await write();
        if (random.chance(0.6)) await cluster.compact(random.between(from, to)).catch(() => {});
      });
      const { revision } = await writer.put(`${space}marker`, `${turn}`);
      await until(() => mirror.revision >= revision, { message: `the mirror follows; seed ${random.seed}` });
      const { kvs } = await writer.range(prefix(space), { revision });
      expect(stateOf(mirror.entries.values()), `seed ${random.seed}`).toEqual(stateOf(kvs));
      await until(() => (replica.batches.at(-1)?.revision ?? 0) >= revision);
      expect(stateOf(replica.entries.values()), `seed ${random.seed}`).toEqual(stateOf(kvs));
    }
    if (recorded.end) expect(recorded.end.error, `seed ${random.seed}`).toMatchObject({ code: "ETCD_COMPACTED" });
    await mirror.close();
    await replicated;
  });
});

describe("a deletion, and a compaction right there, after something was read and before it is followed", () => {
  /** Does that after the next list, count or read of a client that is not the writer's. */
  function afterTheNextRead(work: () => Promise<unknown>): void {
    const { range, txn } = GrpcProtocol.prototype;
    const once = async <T>(answer: Promise<T>): Promise<T> => {
      const read = await answer;
      vi.restoreAllMocks();
      await work();
      return read;
    };
    vi.spyOn(GrpcProtocol.prototype, "range").mockImplementation(function (this: GrpcProtocol, ...asked) {
      return once(range.apply(this, asked));
    });
    vi.spyOn(GrpcProtocol.prototype, "txn").mockImplementation(function (this: GrpcProtocol, ...asked) {
      return once(txn.apply(this, asked));
    });
  }

  let cluster: EtcdCluster;
  let writer: EtcdClient;
  let reader: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd();
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: cluster.endpoints });
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await Promise.all([writer.close(), reader.close()]);
    await cluster.close();
  });

  async function goneRightThere(): Promise<number> {
    const { revision } = await writer.delete("there/a");
    await cluster.compact(revision);
    return revision;
  }

  // With a stream that is there before, and with one that is opened for it.
  test.each([
    [true, "prefix"],
    [true, "key"],
    [false, "prefix"],
    [false, "key"],
  ])("is seen by a mirror; with an open stream %s, of a %s", async (open, of) => {
    await using stream = open ? reader.watch("another") : undefined;
    await stream?.ready;
    await writer.put("there/a", "v");
    let gone = 0;
    afterTheNextRead(async () => {
      gone = await goneRightThere();
    });
    await using mirror = reader.mirror(of === "key" ? "there/a" : prefix("there/"));
    await mirror.ready;
    await until(() => gone > 0 && mirror.revision === gone && mirror.entries.size === 0);
    const { revision } = await writer.put("there/a", "again");
    await until(() => mirror.revision === revision && mirror.status === "live");
  });

  test("ends a watch that is there", async () => {
    await using stream = reader.watch("another");
    await stream.ready;
    await writer.put("there/a", "v");
    let gone = 0;
    afterTheNextRead(async () => {
      gone = await goneRightThere();
    });
    await using watch = reader.watch(prefix("there/"));
    expect(await watch.ready).toBeLessThan(gone);
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ compactRevision: gone });
  });

  test("is not what a watch begins with that cannot begin yet: it begins behind it, without a word", async () => {
    await writer.put("there/a", "v");
    let gone = 0;
    afterTheNextRead(async () => {
      gone = await goneRightThere();
    });
    const statuses: string[] = [];
    await using watch = reader.watch(prefix("there/"), { onStatus: (status) => statuses.push(status) });
    expect(await watch.ready).toBe(gone);
    const { revision } = await writer.put("there/a", "again");
    const { value } = await watch[Symbol.asyncIterator]().next();
    expect(value?.revision).toBe(revision);
    expect(statuses).toEqual(["live"]);
  });
});
