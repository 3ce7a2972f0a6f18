import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { anyJson, EtcdClient, prefix, type StandardSchema, type TypedWatchEvent } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

const schema = z.object({ replicas: z.number(), zone: z.string().default("a") });

let cluster: EtcdCluster;
let link: FaultProxy;
let etcd: EtcdClient;
/** Past the link. */
let writer: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  link = await FaultProxy.start(cluster.member(0).endpoint);
  etcd = new EtcdClient({ endpoints: link.endpoint });
  writer = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd?.close();
  await writer?.close();
  await link?.close();
  await cluster?.close();
});

test("what is written is the value as JSON, and what is read is what the schema makes of it", async () => {
  const configs = etcd.typed(schema);
  const { revision } = await configs.put("plain/a", { replicas: 2 });
  expect((await etcd.get("plain/a"))?.text).toBe('{"replicas":2}');
  const read = await configs.get("plain/a");
  expect(read).toMatchObject({ key: "plain/a", value: { replicas: 2, zone: "a" }, modRevision: revision, version: 1 });
  expect(read?.raw.text).toBe('{"replicas":2}');
  const replicas: number | undefined = read?.value.replicas;
  expect(replicas).toBe(2);
  expect(await configs.get("plain/none")).toBeUndefined();
  const team = etcd.namespace("plain/").typed(schema);
  expect((await team.get("a"))?.value).toEqual({ replicas: 2, zone: "a" });
  expect((await etcd.typed(anyJson).get("plain/a"))?.value).toEqual({ replicas: 2 });
});

test("a put gives what stood there before, if it is asked for it and that is valid", async () => {
  const configs = etcd.typed(schema);
  expect(await configs.put("before/a", { replicas: 1 }, { previous: true })).not.toHaveProperty("previous");
  const { previous } = await configs.put("before/a", { replicas: 2 }, { previous: true });
  expect(previous).toMatchObject({ key: "before/a", value: { replicas: 1, zone: "a" }, version: 1 });
  expect(await configs.put("before/a", { replicas: 3 })).not.toHaveProperty("previous");
  await etcd.put("before/a", "hunter2");
  expect(await configs.put("before/a", { replicas: 4 }, { previous: true })).not.toHaveProperty("previous");
});

test("a value that the schema does not take is not written", async () => {
  const configs = etcd.typed(schema);
  const cycle: unknown[] = [];
  cycle.push(cycle);
  for (const value of [{ replicas: "hunter2" }, {}, undefined, () => 1, 5n, cycle, Promise.resolve({ replicas: 1 })]) {
    const error = await etcdErrorOf(configs.put("refused/a", value as never));
    expect(error).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "value" });
    expect(error.message).not.toContain("hunter2");
  }
  // It would not be read back: JSON makes text of a date.
  const dates = etcd.typed(z.object({ at: z.date() }));
  expect(await etcdErrorOf(dates.put("refused/a", { at: new Date(0) }))).toMatchObject({ option: "value" });
  expect(await etcd.get("refused/a")).toBeUndefined();
});

test("what others wrote is reported as invalid, and never shown", async () => {
  const configs = etcd.typed(schema);
  await configs.put("mixed/good", { replicas: 1 });
  await etcd.put("mixed/json", "hunter2");
  await etcd.put("mixed/schema", '{"replicas":"hunter2"}');
  await etcd.put("mixed/utf8", Buffer.from([0x22, 0xff, 0x22]));
  const { kvs, invalid, count } = await configs.range(prefix("mixed/"));
  expect([kvs.map(({ key }) => key), count]).toEqual([["mixed/good"], 4]);
  expect(invalid.map(({ key, error }) => [key, error.code, error.message])).toEqual([
    ["mixed/json", "ETCD_INVALID_VALUE", "the value is not JSON"],
    ["mixed/schema", "ETCD_INVALID_VALUE", expect.stringMatching(/^the schema rejects the value at replicas: /)],
    ["mixed/utf8", "ETCD_INVALID_VALUE", "the value is not UTF-8"],
  ]);
  expect(JSON.stringify(invalid.map(({ error }) => error))).not.toContain("hunter2");
  const error = await etcdErrorOf(configs.get("mixed/schema"));
  expect(error).toMatchObject({ code: "ETCD_INVALID_VALUE", message: expect.stringContaining('get "mixed/schema"') });
});

const received = <Value>(event: TypedWatchEvent<Value>) =>
  `${event.type} ${event.kv.key} ${event.previous ? "had" : "-"}`;

test("an invalid value ends neither a watch nor a mirror, also across an outage", async () => {
  const configs = etcd.typed(schema);
  await using watch = configs.watch(prefix("live/"), { previous: true });
  await using mirror = configs.mirror(prefix("live/"));
  await Promise.all([watch.ready, mirror.ready]);
  const [watched, mirrored] = [record(watch), record(mirror)];
  await configs.put("live/a", { replicas: 1 });
  await etcd.put("live/a", "hunter2");
  await until(() => mirror.invalid.has("live/a"));
  expect([mirror.entries.size, mirror.get("live/a")]).toEqual([0, undefined]);
  await link.down();
  await writer.typed(schema).put("live/a", { replicas: 3 });
  await writer.delete("live/a");
  await link.heal();
  await writer.typed(schema).put("live/b", { replicas: 4 });
  await until(() => mirror.get("live/b") !== undefined && watched.items.flatMap(({ events }) => events).length === 5);
  expect(watched.items.flatMap(({ events }) => events.map(received))).toEqual([
    "put live/a -",
    "invalid live/a had",
    "put live/a -",
    "delete live/a had",
    "put live/b -",
  ]);
  expect([...mirror.entries.values()].map(({ key, value }) => [key, value])).toEqual([
    ["live/b", { replicas: 4, zone: "a" }],
  ]);
  expect(mirror.entries).toBe(mirror.entries);
  expect(mirror.get("live/b")).toBe(mirror.entries.get("live/b"));
  expect(mirrored.items.flatMap(({ invalid }) => invalid.map(({ key }) => key))).toContain("live/a");
  expect([watched.end, mirrored.end]).toEqual([undefined, undefined]);
});

test("a schema that throws, or answers with a promise, makes a value invalid and harms nothing else", async () => {
  const made = (validate: (value: unknown) => unknown) =>
    ({ "~standard": { version: 1, vendor: "test", validate } }) as StandardSchema<unknown>;
  await etcd.put("odd/a", "1");
  const throwing = etcd.typed(
    made(() => {
      throw new Error("no");
    }),
  );
  const late = etcd.typed(made((value) => (value === undefined ? { value } : Promise.reject(new Error("late")))));
  for (const odd of [throwing, late]) {
    const { kvs, invalid } = await odd.range("odd/a");
    expect([kvs.length, invalid[0]?.error.code]).toEqual([0, "ETCD_INVALID_VALUE"]);
  }
  for (const wrong of [undefined, {}, "schema", made(async () => ({ value: 1 }))]) {
    expect(() => etcd.typed(wrong as never)).toThrow("typed: schema must be");
  }
});

test("options that leave values out are refused", async () => {
  const configs = etcd.typed(anyJson);
  expect(await etcdErrorOf(configs.range("k", { keysOnly: true } as never))).toMatchObject({ option: "keysOnly" });
  expect(await etcdErrorOf(configs.range("k", { countOnly: true } as never))).toMatchObject({ option: "countOnly" });
  expect(await etcdErrorOf(configs.put("k", 1, { ignoreValue: true } as never))).toMatchObject({
    option: "ignoreValue",
  });
});
