import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix, type Watch, type WatchBatch } from "../../../src/index.ts";
import { type BorrowedEtcd, borrowEtcd } from "../../support/borrow-etcd.ts";
import { type Recording, record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

describe("where a watch begins", () => {
  let borrowed: BorrowedEtcd;
  let etcd: EtcdClient;

  beforeAll(async () => {
    borrowed = await borrowEtcd();
    etcd = new EtcdClient({ endpoints: borrowed.endpoints });
  });
  afterAll(async () => {
    await etcd.close();
    await borrowed[Symbol.asyncDispose]();
  });

  test("a put that is issued after ready arrives, on a new connection and on one that is open", async () => {
    for (let round = 0; round < 20; round++) {
      await using fresh = round % 2 === 0 ? new EtcdClient({ endpoints: borrowed.endpoints }) : undefined;
      await using watch = (fresh ?? etcd).watch(`${borrowed.prefix}ready`);
      const startsAfter = await watch.ready;
      const { revision } = await etcd.put(`${borrowed.prefix}ready`, `round ${round}`);
      expect(startsAfter).toBeLessThan(revision);
      const { value } = await watch[Symbol.asyncIterator]().next();
      expect(value).toMatchObject({ type: "events", revision });
      expect(value?.events.map(({ kv }) => kv.text)).toEqual([`round ${round}`]);
    }
  });

  test("a watch that is opened among many writes has everything after the revision of ready, and nothing else", async () => {
    const key = `${borrowed.prefix}busy`;
    const revisions: number[] = [];
    let writing = true;
    const write = async () => {
      while (writing) revisions.push((await etcd.put(key, "busy")).revision);
    };
    const writers = [write(), write(), write()];
    const watches: { watch: Watch; recorded: Recording<WatchBatch> }[] = [];
    for (let round = 0; round < 30; round++) {
      const watch = etcd.watch(key);
      watches.push({ watch, recorded: record(watch) });
      await watch.ready;
    }
    writing = false;
    await Promise.all(writers);
    revisions.sort((a, b) => a - b);
    const last = revisions.at(-1) as number;
    for (const { watch, recorded } of watches) {
      const startsAfter = await watch.ready;
      await until(() => startsAfter >= last || (recorded.items.at(-1)?.revision ?? 0) >= last);
      const seen = recorded.items.flatMap(({ events }) => events.map(({ kv }) => kv.modRevision));
      expect(seen).toEqual(revisions.filter((revision) => revision > startsAfter));
      await watch.close();
    }
  });

  test("a start in the past replays what was, a start in the future waits for it", async () => {
    const key = `${borrowed.prefix}replayed`;
    const revisions: number[] = [];
    const put = async () => revisions.push((await etcd.put(key, `${revisions.length}`)).revision);
    for (let count = 0; count < 5; count++) await put();
    const startRevision = revisions[1] as number;
    await using past = etcd.watch(key, { startRevision });
    expect(await past.ready).toBe(startRevision - 1);
    await using future = etcd.watch(key, { startRevision: (revisions.at(-1) as number) + 3 });
    await future.ready;
    const replayed = record(past);
    const awaited = record(future);
    for (let count = 0; count < 5; count++) await put();
    const seen = ({ items }: typeof replayed) => items.flatMap(({ events }) => events.map(({ kv }) => kv.modRevision));
    await until(() => seen(replayed).length >= 9 && seen(awaited).length >= 3);
    expect(seen(replayed)).toEqual(revisions.slice(1));
    expect(seen(awaited)).toEqual(revisions.slice(7));
  });

  test("a start at 0, below, or at no whole number is refused before any I/O, with the option's name", () => {
    for (const startRevision of [0, -1, Number.NaN, 1.5, Number.POSITIVE_INFINITY, 2 ** 53, "7" as unknown as number]) {
      expect(() => etcd.watch("key", { startRevision })).toThrow(
        expect.objectContaining({ code: "ETCD_INVALID_OPTION", message: expect.stringContaining("startRevision") }),
      );
    }
    for (const size of [0, -5, Number.NaN]) {
      expect(() => etcd.watch("key", { maxBufferedEvents: size })).toThrow(/maxBufferedEvents/);
      expect(() => etcd.mirror("key", { maxBufferedChanges: size })).toThrow(/maxBufferedChanges/);
    }
    expect(() => etcd.watch("")).toThrow(expect.objectContaining({ code: "ETCD_INVALID_OPTION" }));
  });

  test("a key's watch reports that key alone, a prefix's all under it", async () => {
    await using one = etcd.watch(`${borrowed.prefix}svc`);
    await using all = etcd.watch(prefix(`${borrowed.prefix}svc/`));
    await Promise.all([one.ready, all.ready]);
    const recorded = { one: record(one), all: record(all) };
    for (const key of ["svc/a", "svc2", "svc/b", "svc0", "svc", "svc/c"])
      await etcd.put(`${borrowed.prefix}${key}`, "");
    const seen = ({ items }: typeof recorded.one) =>
      items.flatMap(({ events }) => events.map(({ kv }) => kv.key.slice(borrowed.prefix.length)));
    await until(() => seen(recorded.one).length > 0 && seen(recorded.all).length > 2);
    expect(seen(recorded.one)).toEqual(["svc"]);
    expect(seen(recorded.all)).toEqual(["svc/a", "svc/b", "svc/c"]);
  });

  test("the state before each event comes along if it is asked for", async () => {
    const key = `${borrowed.prefix}previous`;
    await using watch = etcd.watch(key, { previous: true });
    await watch.ready;
    const recorded = record(watch);
    await etcd.put(key, "one");
    await etcd.put(key, "two");
    await etcd.delete(key);
    await etcd.put(key, "three");
    const events = () => recorded.items.flatMap((batch) => batch.events);
    await until(() => events().length >= 4);
    expect(events().map(({ type, previous }) => [type, previous?.text])).toEqual([
      ["put", undefined],
      ["put", "one"],
      ["delete", "two"],
      ["put", undefined],
    ]);
  });
});
