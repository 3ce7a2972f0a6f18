import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Storage } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { leasesOf, revokeLease } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

function newStorage(): Storage {
  const storage = new Storage({ client: lab.client() });
  lab.also(() => storage.close());
  return storage;
}

test("what was put is read back, and what was deleted is gone", async () => {
  const storage = newStorage();
  const key = `${lab.newPrefix()}a`;
  expect(await storage.get(key)).toBeUndefined();
  expect(await storage.delete(key)).toBe(false);
  const first = await storage.put(key, "1");
  const second = await storage.put(key, "");
  expect(second.revision).toBeGreaterThan(first.revision);
  expect(await storage.get(key)).toBe("");
  expect(await storage.delete(key)).toBe(true);
  expect(await storage.get(key)).toBeUndefined();
});

test("a thousand puts with a TTL need one lease, also through two storages of one client", async () => {
  const client = lab.client();
  const storages = [new Storage({ client }), new Storage({ client })];
  const before = (await leasesOf(lab.endpoint)).length;
  const prefix = lab.newPrefix();
  await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => storages[i % 2]?.put(`${prefix}${i}`, "", { ttlSeconds: 500 })),
  );
  expect((await leasesOf(lab.endpoint)).length - before).toBe(1);
});

test("a key with a TTL is deleted after it, and not before", async () => {
  const storage = newStorage();
  const key = `${lab.newPrefix()}a`;
  const putAt = performance.now();
  await storage.put(key, "1", { ttlSeconds: 2 });
  await until(async () => (await storage.get(key)) === undefined);
  expect(performance.now() - putAt).toBeGreaterThan(2_000);
});

test("a key with a TTL outlives its storage and its client", async () => {
  const client = lab.client();
  const storage = new Storage({ client });
  const key = `${lab.newPrefix()}a`;
  await storage.put(key, "1", { ttlSeconds: 100 });
  await storage.close();
  await client.close();
  expect((await lab.etcd.get(key))?.text).toBe("1");
});

test("a touch lets a key live for its TTL from now on, whichever process put it", async () => {
  const key = `${lab.newPrefix()}a`;
  await newStorage().put(key, "1", { ttlSeconds: 3 });
  const first = await lab.etcd.get(key);
  const other = newStorage();
  await until(async () => {
    expect(await other.touch(key)).toBe(true);
    return (await lab.etcd.get(key))?.lease !== first?.lease;
  });
  const touchedAt = performance.now();
  expect((await lab.etcd.get(key))?.text).toBe("1");
  await until(async () => (await lab.etcd.get(key)) === undefined);
  expect(performance.now() - touchedAt).toBeGreaterThan(2_000);
});

test("a touch never shortens a life, never brings a key back, and leaves one without a TTL alone", async () => {
  const storage = newStorage();
  const prefix = lab.newPrefix();
  await storage.put(`${prefix}long`, "1", { ttlSeconds: 1_000 });
  const before = await lab.etcd.get(`${prefix}long`);
  expect(await storage.touch(`${prefix}long`, { ttlSeconds: 5 })).toBe(true);
  expect(await storage.touch(`${prefix}long`)).toBe(true);
  expect((await lab.etcd.get(`${prefix}long`))?.lease).toBe(before?.lease);
  await storage.touch(`${prefix}long`, { ttlSeconds: 2_000 });
  const after = await lab.etcd.get(`${prefix}long`);
  expect(after?.lease).not.toBe(before?.lease);
  expect((await lab.etcd.leaseTimeToLive(after?.lease as never)).remainingSeconds).toBeGreaterThanOrEqual(2_000);

  expect(await storage.touch(`${prefix}gone`, { ttlSeconds: 5 })).toBe(false);
  expect(await storage.get(`${prefix}gone`)).toBeUndefined();

  const { revision } = await storage.put(`${prefix}forever`, "1");
  expect(await storage.touch(`${prefix}forever`, { ttlSeconds: 5 })).toBe(true);
  expect((await lab.etcd.get(`${prefix}forever`))?.modRevision).toBe(revision);
});

test("a touch lets a key live for its own TTL, also beside keys whose TTL is nearly the same", async () => {
  const storage = newStorage();
  const prefix = lab.newPrefix();
  const leftOf = async (id: string) => {
    const kv = await lab.etcd.get(`${prefix}${id}`);
    return lab.etcd.leaseTimeToLive(kv?.lease as never);
  };
  await storage.put(`${prefix}100`, "1", { ttlSeconds: 100 });
  await storage.put(`${prefix}102`, "1", { ttlSeconds: 102 });
  await until(async () => (await leftOf("102")).remainingSeconds < 102);
  expect(await storage.touch(`${prefix}102`)).toBe(true);
  expect((await leftOf("102")).remainingSeconds).toBeGreaterThanOrEqual(102);

  await storage.put(`${prefix}3`, "1", { ttlSeconds: 3 });
  await until(async () => (await leftOf("3")).remainingSeconds < 2);
  await storage.put(`${prefix}1`, "1", { ttlSeconds: 1 });
  expect(await storage.touch(`${prefix}1`)).toBe(true);
  expect((await leftOf("1")).grantedSeconds).toBeLessThan(4);
});

test("puts whose TTLs are alike share leases", async () => {
  const storage = newStorage();
  const prefix = lab.newPrefix();
  const before = (await leasesOf(lab.endpoint)).length;
  await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => storage.put(`${prefix}${i}`, "", { ttlSeconds: 5_000 + i })),
  );
  expect((await leasesOf(lab.endpoint)).length - before).toBeLessThan(50);
});

test("a lease that was revoked by hand is replaced by the next put", async () => {
  const storage = newStorage();
  const prefix = lab.newPrefix();
  await storage.put(`${prefix}a`, "1", { ttlSeconds: 700 });
  const lease = (await lab.etcd.get(`${prefix}a`))?.lease;
  if (!lease) throw new Error("no lease");
  await revokeLease(lab.endpoint, lease);
  await storage.put(`${prefix}b`, "2", { ttlSeconds: 700 });
  expect(await storage.get(`${prefix}b`)).toBe("2");
});

test.each(["put", "touch", "delete"] as const)(
  "the time of a %s is its own, also where it is longer than that of the client's calls",
  async (how) => {
    await using proxy = await FaultProxy.start(lab.endpoint);
    const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 300 });
    const storage = new Storage({ client });
    const key = `${lab.newPrefix()}a`;
    // The first call waits for the connection as well.
    await storage.put(key, "0", { timeoutMs: 10_000 });
    proxy.blackHole();
    const end = new AbortController();
    const call = { timeoutMs: 60_000, signal: end.signal };
    const calls = {
      put: () => storage.put(key, "1", call),
      touch: () => storage.touch(key, { ttlSeconds: 100, ...call }),
      delete: () => storage.delete(key, call),
    };
    const outcome = outcomeOf(calls[how]() as Promise<unknown>);
    expect(await etcdErrorOf(client.get(key))).toMatchObject({ code: "ETCD_TIMEOUT" });
    const reason = new Error("given up");
    end.abort(reason);
    expect((await outcome).error).toBe(reason);
    await proxy.heal();
  },
);

test("a put that timed out never lands over a newer one", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const slow = new Storage({ client: lab.client({ endpoints: proxy.endpoint }) });
  const key = `${lab.newPrefix()}a`;
  await slow.put(key, "0");
  const delayMs = 200;
  for (let round = 1, late = 0; late < 5; round++) {
    proxy.delay(delayMs);
    // Time for the second attempt of the read, and for the write to leave but not to arrive: on a busy machine it may
    // not even leave.
    const error = await etcdErrorOf(slow.put(key, `late ${round}`, { timeoutMs: 4 * delayMs }));
    expect(error.code).toBe("ETCD_TIMEOUT");
    if (error.outcomeUnknown) late++;
    await newStorage().put(key, `newer ${round}`);
    // Whatever was on its way has come once the same connection has answered.
    await slow.get(key, { timeoutMs: 10_000 });
    expect(await lab.etcd.get(key)).toMatchObject({ text: `newer ${round}` });
    proxy.delay(0);
  }
});

test.each([
  [
    "an unknown option",
    () => new Storage({ clint: {} } as never),
    'Storage: clint is not an option; did you mean "client"?',
  ],
  [
    "a client that is none",
    () => new Storage({ client: 5 } as never),
    "client must be an EtcdClient of this package, or options for one",
  ],
])("the constructor refuses %s", (_, make, message) => {
  expect(make).toThrow(message);
});

const nothing = () => {};
test.each([
  ["an empty prefix", ["", nothing, nothing], "prefix must not be empty"],
  ["onPut that is no function", ["a/", undefined, nothing], "onPut must be a function"],
  ["onDelete that is no function", ["a/", nothing, {}], "onDelete must be a function"],
  [
    "an unknown option",
    ["a/", nothing, nothing, { inital: "none" }],
    'inital is not an option; did you mean "initial"?',
  ],
  ["an unknown initial", ["a/", nothing, nothing, { initial: "all" }], 'initial must be "none" or "replay"'],
  ["no concurrency", ["a/", nothing, nothing, { concurrency: 0 }], "concurrency must be at least 1"],
  ["a signal that is none", ["a/", nothing, nothing, { signal: {} }], "signal must be an AbortSignal"],
])("watch() refuses %s", (_, args, message) => {
  const storage = newStorage();
  expect(() => storage.watch(...(args as Parameters<Storage["watch"]>))).toThrow(message);
});

test.each([
  ["an empty key", ["", "v"], "key must not be empty"],
  ["a key that ends with a slash", ["a/", "v"], "key must not end with a slash"],
  ["a key that another one reads like", ["a\ud800", "v"], "key must be well-formed text without U+FFFD"],
  ["a value that is no text", ["a", 5], "value must be a string, not 5"],
  ["a TTL below a second", ["a", "v", { ttlSeconds: 0.5 }], "ttlSeconds must be a whole number of seconds from 1"],
  ["no TTL at all", ["a", "v", { ttlSeconds: 0 }], "ttlSeconds must be a whole number of seconds from 1"],
  ["an unknown option", ["a", "v", { ttl: 5 }], "ttl is not an option"],
  ["no time", ["a", "v", { timeoutMs: 0 }], "timeoutMs must be above 0"],
  ["a time that is no number", ["a", "v", { timeoutMs: Number.NaN }], "timeoutMs must be a number of milliseconds"],
  ["a time that no timer takes", ["a", "v", { timeoutMs: 2 ** 31 }], "timeoutMs must be below 2^31 ms, or Infinity"],
])("put() refuses %s", async (_, args, message) => {
  const storage = newStorage();
  await expect(storage.put(...(args as Parameters<Storage["put"]>))).rejects.toThrow(message);
});

test("a call takes all the time there is, as those of the client do", async () => {
  const storage = newStorage();
  const forever = { timeoutMs: Number.POSITIVE_INFINITY };
  const key = `${lab.newPrefix()}a`;
  await storage.put(key, "v", { ...forever, ttlSeconds: 60 });
  expect(await storage.touch(key, forever)).toBe(true);
  expect(await storage.get(key, forever)).toBe("v");
  expect(await storage.delete(key, forever)).toBe(true);
});

test("every call rejects with the reason of its signal, and after close() with ETCD_CLOSED", async () => {
  const storage = newStorage();
  const signal = AbortSignal.abort(new Error("changed my mind"));
  await expect(storage.put("a", "v", { signal })).rejects.toThrow("changed my mind");
  await expect(storage.delete("a", { signal })).rejects.toThrow("changed my mind");
  await expect(storage.touch("a", { signal })).rejects.toThrow("changed my mind");
  await expect(storage.get("a", { signal })).rejects.toThrow("changed my mind");
  await storage.close();
  for (const call of [storage.put("a", "v"), storage.delete("a"), storage.touch("a"), storage.get("a")]) {
    await expect(call).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  }
});
