import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteOp, EtcdClient, prefix, putOp, type WatchBatch, type WatchFilter } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { type Recording, record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let link: FaultProxy;
let writer: EtcdClient;
let reader: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ flags: ["--experimental-watch-progress-notify-interval=200ms"] });
  link = await FaultProxy.start(cluster.member(0).endpoint);
  writer = new EtcdClient({ endpoints: cluster.endpoints });
  reader = new EtcdClient({ endpoints: link.endpoint });
});
afterAll(async () => {
  await reader?.close();
  await writer?.close();
  await link?.close();
  await cluster?.close();
});

async function follow(at: string, filter: WatchFilter) {
  const watch = reader.watch(prefix(at), { filters: [filter], previous: true });
  await watch.ready;
  return record(watch);
}

const received = ({ items }: Recording<WatchBatch>) =>
  items.flatMap(({ events }) => events.map(({ type, kv, previous }) => `${type} ${kv.key} ${previous?.text ?? "-"}`));

test("a watch gets deletions alone, or puts alone, also of what one txn did", async () => {
  const [deletions, puts] = [await follow("both/", "put"), await follow("both/", "delete")];
  await writer.put("both/a", "1");
  await writer.txn({ success: [putOp("both/b", "1"), deleteOp("both/a")] });
  await writer.put("both/a", "2");
  await writer.delete(prefix("both/"));
  await until(() => received(deletions).length === 3 && received(puts).length === 3);
  expect(received(deletions)).toEqual(["delete both/a 1", "delete both/a 2", "delete both/b 1"]);
  expect(received(puts)).toEqual(["put both/a -", "put both/b -", "put both/a -"]);
});

test("what is filtered out breaks no proof: it goes on after an outage", async () => {
  const [deletions, puts] = [await follow("away/", "put"), await follow("away/", "delete")];
  for (const key of ["a", "b"]) await writer.put(`away/${key}`, "1");
  await writer.delete("away/a");
  await until(() => received(deletions).length === 1 && received(puts).length === 2);
  // What each saw last is not so any more, and the number of keys is another one.
  await writer.put("away/a", "2");
  await writer.put("away/c", "2");
  await writer.delete("away/b");
  await until(() => received(deletions).length === 2 && received(puts).length === 4);
  await link.down();
  await writer.put("away/b", "3");
  await writer.delete("away/a");
  await link.heal();
  await until(() => received(deletions).length === 3 && received(puts).length === 5);
  expect([deletions.end, puts.end]).toEqual([undefined, undefined]);
  expect(received(deletions)).toEqual(["delete away/a 1", "delete away/b 1", "delete away/a 2"]);
});

test("a progress notice covers what was left out, and a watch that begins after it misses nothing", async () => {
  const deletions = await follow("quiet/", "put");
  const { revision: put } = await writer.put("quiet/a", "1");
  await until(() => deletions.items.some(({ revision }) => revision >= put));
  const { type, revision } = deletions.items.at(-1) as WatchBatch;
  expect([type, received(deletions)]).toEqual(["progress", []]);
  await writer.compact(revision);
  await writer.delete("quiet/a");
  const later = record(reader.watch(prefix("quiet/"), { startRevision: revision + 1, filters: ["put"] }));
  await until(() => received(later).length === 1);
});

test("an etcd that was wiped is recognized by an event that did not happen in it", async () => {
  const [deletions, puts] = [await follow("wiped/", "put"), await follow("wiped/", "delete")];
  await writer.put("wiped/a", "1");
  await writer.delete("wiped/a");
  const { revision } = await writer.put("elsewhere", "");
  await until(() => received(deletions).length === 1 && received(puts).length === 1);
  await link.down();
  await cluster.wipe();
  for (let now = 0; now < revision + 10; ) now = (await writer.put("elsewhere", "")).revision;
  await link.heal();
  for (const { ended } of [deletions, puts]) expect((await ended).error).toMatchObject({ code: "ETCD_HISTORY_LOST" });
});

test("what would leave nothing, or is no event, is refused", () => {
  for (const filters of [["put", "delete"], ["noput"], "put", [[]]]) {
    expect(() => reader.watch("k", { filters } as never)).toThrow("watch: filters must be a list such as");
  }
});
