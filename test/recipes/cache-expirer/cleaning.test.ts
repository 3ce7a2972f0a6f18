import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { encodeTracking } from "../../../recipes/cache-expirer/buckets.ts";
import { CacheExpirer, type CacheExpirerOptions } from "../../../recipes/index.ts";
import { type Deferred, deferred } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { trackerOn } from "../../support/cache-lab.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// What onExpire gets, when, and what keeps it from being called. Evictions are the quickest way to make a key go.

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

function expirer(prefix: string, options: Partial<CacheExpirerOptions> = {}) {
  const expired: string[] = [];
  const warnings: Error[] = [];
  const caches = new CacheExpirer(prefix, {
    client: lab.client(),
    ttlSeconds: 3_600,
    onExpire: (id, reason) => expired.push(`${id} ${reason}`),
    ...options,
  });
  caches.on("warning", (error) => warnings.push(error));
  lab.also(() => caches.close());
  return { caches, expired, warnings };
}

test("an evicted id is cleaned by every tracker, and a touch says that it is gone", async () => {
  const prefix = lab.newPrefix();
  const one = expirer(prefix);
  const two = expirer(prefix);
  await Promise.all([one.caches.ready, two.caches.ready]);
  await one.caches.track("proj");
  await until(() => two.caches.size === 1);
  expect(await two.caches.touch("proj")).toBe(true);
  expect(await one.caches.evict("proj")).toBe(true);
  expect(await one.caches.touch("proj")).toBe(false);
  expect(await one.caches.evict("proj")).toBe(false);
  await until(() => one.expired.length + two.expired.length === 2);
  expect([one.expired, two.expired]).toEqual([["proj evicted"], ["proj evicted"]]);
});

test("a touch never makes a gone key again, a track does", async () => {
  const prefix = lab.newPrefix();
  const { caches } = expirer(prefix);
  await caches.ready;
  expect(await caches.touch("proj")).toBe(false);
  expect(await lab.etcd.get(`${prefix}proj`)).toBeUndefined();
  await caches.track("proj");
  await caches.track("proj");
  expect(await lab.etcd.get(`${prefix}proj`)).toMatchObject({ version: 1 });
});

test("an onExpire that fails twice succeeds the third time, and each failure is reported", async () => {
  const prefix = lab.newPrefix();
  let calls = 0;
  const cleaned: string[] = [];
  const { caches, warnings } = expirer(prefix, {
    onExpire: async () => {
      if (++calls < 3) throw new Error("the disk is busy");
    },
  });
  caches.on("cleaned", (id, reason) => cleaned.push(`${id} ${reason}`));
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => cleaned.length === 1);
  expect({ calls, cleaned }).toEqual({ calls: 3, cleaned: ["proj evicted"] });
  expect(warnings.map(({ message }) => message)).toEqual(
    Array(2).fill('onExpire("proj") failed, and is called again: the disk is busy'),
  );
});

test("an id that is tracked again between two attempts is not cleaned", async () => {
  const prefix = lab.newPrefix();
  let calls = 0;
  const { caches, warnings } = expirer(prefix, {
    onExpire: () => {
      calls++;
      throw new Error("not now");
    },
  });
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => warnings.length > 0);
  await caches.track("proj");
  const before = calls;
  // Another one goes through all attempts that the first would have had.
  await caches.track("other");
  await caches.evict("other");
  await until(() => warnings.filter(({ message }) => message.includes('"other"')).length >= before + 3);
  expect(warnings.filter(({ message }) => message.includes('"proj"'))).toHaveLength(before);
  expect(calls).toBe(warnings.length);
});

test("an id that another process tracks again between two attempts is not cleaned", async () => {
  const prefix = lab.newPrefix();
  const calls: string[] = [];
  const tracked = deferred<void>();
  const { caches } = expirer(prefix, {
    onExpire: async (id) => {
      calls.push(id);
      await tracked.promise;
      throw new Error("not now");
    },
  });
  await caches.ready;
  await caches.track("proj");
  await caches.track("other");
  await caches.evict("proj");
  await until(() => calls.length === 1);
  const elsewhere = expirer(prefix);
  await elsewhere.caches.track("proj");
  tracked.resolve();
  await caches.evict("other");
  await until(() => calls.filter((id) => id === "other").length >= 4);
  expect(calls.filter((id) => id === "proj")).toHaveLength(1);
});

test("track waits for an onExpire of its id that runs, and for no other", async () => {
  const prefix = lab.newPrefix();
  const running = new Map<string, Deferred<void>>();
  const { caches } = expirer(prefix, {
    onExpire: (id) => {
      const done = deferred<void>();
      running.set(id, done);
      return done.promise;
    },
  });
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => running.has("proj"));
  let tracked = false;
  const tracking = caches.track("proj").then(() => {
    tracked = true;
  });
  await caches.track("other");
  expect(tracked).toBe(false);
  expect(await lab.etcd.get(`${prefix}proj`)).toBeUndefined();
  await expect(caches.track("proj", { timeoutMs: 50 })).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  await expect(caches.track("proj", { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/);
  running.get("proj")?.resolve();
  await tracking;
  expect(await lab.etcd.get(`${prefix}proj`)).toBeDefined();
});

test("the time of a track is one for all of it: for the onExpire that it waits for, and for its key", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const clock = new FakeClock();
  const begun = deferred<void>();
  const done = deferred<void>();
  const onExpire = () => {
    begun.resolve();
    return done.promise;
  };
  const { tracker } = trackerOn(lab, clock, lab.newPrefix(), { ttlSeconds: 3_600, onExpire }, [proxy.endpoint]);
  await tracker.ready;
  await tracker.track("proj", {});
  await tracker.evict("proj", {});
  await begun.promise;
  proxy.blackHole();
  let outcome: unknown;
  const tracking = tracker.track("proj", { timeoutMs: 1_000 }).catch((error) => {
    outcome = error;
  });
  await settled();
  clock.advance(600);
  done.resolve();
  await settled();
  clock.advance(399);
  await settled();
  expect(outcome).toBeUndefined();
  clock.advance(1);
  await settled();
  expect(outcome).toMatchObject({ code: "ETCD_TIMEOUT" });
  await proxy.heal();
  await tracking;
});

test("when a track fails, what it took back is cleaned after all", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const prefix = lab.newPrefix();
  let calls = 0;
  let failing = true;
  const { caches } = expirer(prefix, {
    client: lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 500 }),
    onExpire: () => {
      calls++;
      if (failing) throw new Error("not now");
    },
  });
  const cleaned: string[] = [];
  caches.on("cleaned", (id) => cleaned.push(id));
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => calls > 0);
  await proxy.down();
  const { error } = await outcomeOf(caches.track("proj"));
  failing = false;
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  const before = calls;
  expect(cleaned).toEqual([]);
  await proxy.up();
  await until(() => cleaned.length > 0);
  expect(calls).toBe(before + 1);
});

test("what is known at the start and has no key is missing; what is tracked meanwhile is not", async () => {
  const prefix = lab.newPrefix();
  await expirer(prefix).caches.track("alive");
  const asked = deferred<string[]>();
  const { caches, expired, warnings } = expirer(prefix, { known: () => asked.promise });
  const tracking = caches.track("new");
  asked.resolve(["alive", "gone", "new", "", "/odd", "gone-too"]);
  await Promise.all([tracking, caches.ready]);
  await until(() => expired.length === 2);
  expect(expired.toSorted()).toEqual(["gone missing", "gone-too missing"]);
  expect(warnings.map(({ message }) => message)).toEqual([
    "known(): id must not be empty",
    "known(): id must not begin with a slash: the prefix ends with one",
  ]);
});

test("what is tracked before the list is read, and gone when it is, is cleaned", async () => {
  const prefix = lab.newPrefix();
  const asked = deferred<string[]>();
  const { caches, expired } = expirer(prefix, { known: () => asked.promise });
  await Promise.all(["stays", "by-hand", "told", "own"].map((id) => caches.track(id)));
  await lab.etcd.delete(`${prefix}by-hand`);
  await lab.etcd.delete(`${prefix}told`);
  await caches.evict("own");
  expect(await caches.touch("never")).toBe(false);
  asked.resolve(["by-hand"]);
  await caches.ready;
  expect(await caches.touch("by-hand")).toBe(false);
  expect(caches.size).toBe(1);
  await until(() => expired.length === 3);
  await caches.evict("stays");
  await until(() => expired.includes("stays evicted"));
  expect(expired.toSorted()).toEqual(["by-hand evicted", "own evicted", "stays evicted", "told evicted"]);
});

test("a known() that fails is asked again, and reported", async () => {
  let calls = 0;
  const { caches, expired, warnings } = expirer(lab.newPrefix(), {
    known: async () => {
      if (++calls < 3) throw new Error("EIO");
      return ["gone"];
    },
  });
  await caches.ready;
  await until(() => expired.length === 1);
  expect(calls).toBe(3);
  expect(warnings).toHaveLength(2);
  expect(warnings[0]?.message).toMatch(/^known\(\) failed: EIO; it is called again in (\d+|0\.\d+) ms$/);
});

test("with maxDropRatio ids that go in a mass are held back, and reported; evict() cleans one of them", async () => {
  const prefix = lab.newPrefix();
  await expirer(prefix).caches.track("alive");
  const { caches, expired, warnings } = expirer(prefix, {
    known: () => ["alive", "a", "b", "c"],
    maxDropRatio: 0.75,
  });
  await caches.ready;
  expect(warnings).toMatchObject([
    {
      code: "ETCD_MASS_REMOVAL",
      message: "3 of 4 ids are missing in etcd at once; they are held back until their time is over",
    },
  ]);
  expect(await caches.evict("a")).toBe(false);
  await caches.track("b");
  await until(() => expired.length === 1);
  expect(expired).toEqual(["a evicted"]);
  const fewer = expirer(prefix, { known: () => ["alive", "b", "c"], maxDropRatio: 0.75 });
  await until(() => fewer.expired.length === 1);
  expect(fewer.expired).toEqual(["c missing"]);
});

test("what went during a disconnect and a compaction is cleaned, once", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const prefix = lab.newPrefix();
  const { caches, expired } = expirer(prefix, { client: lab.client({ endpoints: proxy.endpoint }) });
  await caches.ready;
  for (const id of ["a", "b", "stays"]) await caches.track(id);
  await proxy.down();
  await until(() => caches.status === "stale");
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.delete(`${prefix}b`);
  await lab.etcd.put(`${prefix}b`, encodeTracking({ bucket: 1, expiresAt: 8e15 }));
  const { revision } = await lab.etcd.put(`${prefix}late`, "by hand");
  await lab.cluster.compact(revision);
  await proxy.up();
  await until(() => expired.length > 0 && caches.size === 3);
  expect(await caches.touch("stays")).toBe(true);
  expect(expired).toEqual(["a evicted"]);
});

test("after a wipe all that was tracked is missing, and maxDropRatio can hold it back", async () => {
  await using own = await RegistryLab.start();
  const expired: string[] = [];
  const held: Error[] = [];
  const make = (prefix: string, maxDropRatio?: number) => {
    const caches = new CacheExpirer(prefix, {
      client: own.client(),
      ttlSeconds: 3_600,
      onExpire: (id, reason) => expired.push(`${id} ${reason}`),
      maxDropRatio,
    });
    own.also(() => caches.close());
    return caches;
  };
  const free = make("free/");
  const guarded = make("guarded/", 1);
  guarded.on("warning", (error) => "code" in error && error.code === "ETCD_MASS_REMOVAL" && held.push(error));
  await Promise.all([free.ready, guarded.ready]);
  for (const caches of [free, guarded]) await Promise.all([caches.track("a"), caches.track("b")]);
  await own.cluster.wipe();
  await until(() => expired.length >= 2 && held.length > 0, { timeoutMs: 30_000 });
  expect(expired.toSorted()).toEqual(["a missing", "b missing"]);
  // The new etcd is used as the old one was.
  expect(await guarded.touch("a")).toBe(false);
  await guarded.track("a");
  expect(await guarded.touch("a")).toBe(true);
  expect(expired).toHaveLength(2);
});

test("foreign values hurt nothing: they are adopted by a touch, and never swept", async () => {
  const prefix = lab.newPrefix();
  for (const [id, value] of Object.entries({
    a: "hello",
    b: '{"expiresAt":"soon"}',
    c: '{"bucket":1,"expiresAt":1e300}',
  })) {
    await lab.etcd.put(prefix + id, value);
  }
  await lab.etcd.put(prefix, "the prefix itself");
  const { caches, expired } = expirer(prefix);
  await caches.ready;
  expect(await caches.touch("a")).toBe(true);
  expect((await lab.etcd.get(`${prefix}a`))?.lease).toBeDefined();
  await lab.etcd.delete(prefix);
  await lab.etcd.delete(`${prefix}b`);
  await until(() => expired.length === 1);
  expect(expired).toEqual(["b evicted"]);
});

test("close() waits for what runs and cleans nothing after it; what is asked for later is refused", async () => {
  const prefix = lab.newPrefix();
  const done = deferred<void>();
  const begun: string[] = [];
  const { caches } = expirer(prefix, {
    concurrency: 1,
    onExpire: (id) => {
      begun.push(id);
      return done.promise;
    },
  });
  await caches.ready;
  await Promise.all(["a", "b"].map((id) => caches.track(id)));
  await Promise.all(["a", "b"].map((id) => caches.evict(id)));
  await until(() => begun.length === 1);
  let closed = false;
  const closing = caches.close().then(() => {
    closed = true;
  });
  await lab.etcd.get(prefix);
  expect(closed).toBe(false);
  done.resolve();
  await closing;
  expect(begun).toHaveLength(1);
  expect(caches.status).toBe("closed");
  for (const call of [caches.track("c"), caches.touch("c"), caches.evict("c")]) {
    await expect(call).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  }
});

test("closed before it was ready, its ready rejects; a client that is closed ends it by `failed`", async () => {
  const early = expirer(lab.newPrefix(), { known: () => new Promise(() => {}) });
  await early.caches.close();
  await expect(early.caches.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });

  const client = lab.client();
  const { caches } = expirer(lab.newPrefix(), { client });
  const failures: Error[] = [];
  caches.on("failed", (error) => failures.push(error));
  await caches.ready;
  await client.close();
  await until(() => failures.length > 0);
  expect(failures).toMatchObject([{ code: "ETCD_CLOSED" }]);
  expect(caches.status).toBe("failed");
  await expect(caches.touch("a")).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

const good = { ttlSeconds: 5, onExpire: () => {} };
test.each([
  ["an empty prefix", ["", good], "CacheExpirer: prefix must not be empty"],
  ["no options", ["a/"], "CacheExpirer: options must be an object with ttlSeconds and onExpire, not undefined"],
  ["no ttlSeconds", ["a/", { onExpire: good.onExpire }], "CacheExpirer: ttlSeconds must be given"],
  ["a TTL below a second", ["a/", { ...good, ttlSeconds: 0.9 }], "ttlSeconds must be a whole number of seconds from 1"],
  ["onExpire that is no function", ["a/", { ...good, onExpire: 5 }], "CacheExpirer: onExpire must be a function"],
  ["known that is no function", ["a/", { ...good, known: [] }], "CacheExpirer: known must be a function"],
  ["an unknown option", ["a/", { ...good, ttl: 5 }], "ttl is not an option; known are"],
  ["no concurrency", ["a/", { ...good, concurrency: 0 }], "concurrency must be at least 1"],
  ["a ratio of 0", ["a/", { ...good, maxDropRatio: 0 }], "maxDropRatio must be above 0"],
  ["a ratio above 1", ["a/", { ...good, maxDropRatio: 1.1 }], "maxDropRatio must be at most 1"],
])("the constructor refuses %s", (_, args, message) => {
  expect(() => new CacheExpirer(...(args as unknown as ConstructorParameters<typeof CacheExpirer>))).toThrow(message);
});

test.each([
  ["an empty id", "", "id must not be empty"],
  ["an id with a leading slash", "/a", "id must not begin with a slash"],
  ["an id that is no text", 5, "id must be a string, not 5"],
])("track, touch and evict refuse %s", async (_, id, message) => {
  const { caches } = expirer(lab.newPrefix());
  for (const call of [caches.track(id as string), caches.touch(id as string), caches.evict(id as string)]) {
    await expect(call).rejects.toThrow(message);
  }
  await expect(caches.touch("a", { timeout: 5 } as never)).rejects.toThrow("timeout is not an option");
});

test("a track that waits for an onExpire which never ends rejects on close()", async () => {
  let running = false;
  const { caches } = expirer(lab.newPrefix(), {
    onExpire: () => {
      running = true;
      return new Promise(() => {});
    },
  });
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => running);
  const tracking = expect(caches.track("proj")).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  void caches.close();
  await tracking;
});

test("an onExpire may throw what no string can be made of", async () => {
  const { caches, warnings } = expirer(lab.newPrefix(), {
    onExpire: () => {
      throw Object.create(null);
    },
  });
  await caches.ready;
  await caches.track("proj");
  await caches.evict("proj");
  await until(() => warnings.length > 0);
  expect(warnings[0]).toMatchObject({ name: "ListenerFailedError" });
});
