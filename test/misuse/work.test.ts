import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  CancelledError,
  Confirmation,
  InvalidValueError,
  prefix,
  Queue,
  Storage,
} from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { keyUnder, nastyJson, nastyKey, nastyObject, nastyText, nastyValue, times } from "./hostile-values.ts";
import { unharmed } from "./unharmed.ts";

const rounds = ["one", "two", "three"];

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function received(from: { on(name: "warning" | "failed", listener: (error: Error) => void): unknown }) {
  const seen = { warnings: [] as Error[], failures: [] as Error[] };
  from.on("warning", (error) => seen.warnings.push(error));
  from.on("failed", (error) => seen.failures.push(error));
  return seen;
}

test.each(rounds)("a queue with hostile jobs, workers, places and letters does the good jobs: %s", async (round) => {
  const random = seeded(`queue ${round}`);
  const name = lab.newPrefix().slice(0, -1);
  const job = { value: '"v"', attempt: "0", notBefore: "1", token: '"t"', holder: '"1234"' };
  const letter = { value: '"v"', attempts: "2", diedAtMs: "1" };
  const putNasty = async (count: number) => {
    for (const index of times(count, (at) => at)) {
      const room = random.pick(["jobs/", "jobs/", "workers/", "dead/", "dead/", "waiting/", "", "other/"]);
      const value = nastyValue(random, room === "dead/" ? letter : job);
      await lab.etcd.put(keyUnder(`${name}/${room}`, nastyKey(random, index)), value);
    }
  };
  await putNasty(20);
  using _ = unharmed();
  const queue = new Queue(name, { client: lab.etcd, maxAttempts: 2 });
  lab.also(() => queue.close());
  const { warnings, failures } = received(queue);
  await queue.enqueue("first");
  const seen: string[] = [];
  const work = (async () => {
    while (!seen.includes("last")) {
      const taken = await queue.dequeue();
      seen.push(taken.value);
      await taken.ack();
    }
  })();
  await putNasty(20);
  await queue.enqueueMany([nastyText, "last"]);
  await work;
  expect(seen).toEqual(expect.arrayContaining(["first", nastyText, "last"]));
  await lab.etcd.put(`${name}/dead/good`, `{"value":"good","attempts":2,"diedAtMs":1}`);
  const letters = await queue.deadLetters();
  expect(letters.at(-1)).toEqual({ id: "good", value: "good", attempts: 2, diedAtMs: 1 });
  expect(letters.filter(({ attempts, diedAtMs }) => !Number.isFinite(attempts) || !Number.isFinite(diedAtMs))).toEqual(
    [],
  );
  for (const { id } of letters) expect(await queue.discard(id)).toBe(true);
  expect(await queue.size()).toBeGreaterThanOrEqual(0);
  expect(warnings.filter((error) => !(error instanceof InvalidValueError))).toEqual([]);
  expect(warnings.filter(({ message }) => /\p{Cc}/u.test(message))).toEqual([]);
  expect(failures).toEqual([]);
});

test("a job or a dead letter whose key names none is neither handed out nor listed", async () => {
  const name = lab.newPrefix().slice(0, -1);
  const queue = new Queue(name, { client: lab.etcd });
  lab.also(() => queue.close());
  for (const id of [Buffer.alloc(0), Buffer.from([0xff])]) {
    await lab.etcd.put(Buffer.concat([Buffer.from(`${name}/jobs/`), id]), `{"value":"bad","attempt":0}`);
    await lab.etcd.put(Buffer.concat([Buffer.from(`${name}/dead/`), id]), `{"value":"bad","attempts":1,"diedAtMs":1}`);
  }
  await queue.enqueue("good", { id: "\u{10ffff}" });
  const job = await queue.dequeue();
  expect(job.value).toBe("good");
  await job.ack();
  expect(await queue.deadLetters()).toEqual([]);
});

test("an invalid job is reported without any part of its value", async () => {
  const name = lab.newPrefix().slice(0, -1);
  const queue = new Queue(name, { client: lab.etcd });
  lab.also(() => queue.close());
  const { warnings } = received(queue);
  await lab.etcd.put(`${name}/jobs/a`, "hunter2 is my password");
  await queue.enqueue("good");
  await queue.dequeue();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toBeInstanceOf(InvalidValueError);
  expect(`${warnings[0]?.stack} ${warnings[0]?.cause}`).not.toContain("hunter");
});

test.each(rounds)("a storage reports every key that it can, whatever stands under it: %s", async (round) => {
  const random = seeded(`storage ${round}`);
  const under = lab.newPrefix();
  const put = async (index: number) =>
    lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyValue(random, { a: "1" }));
  for (const index of times(15, (at) => at)) await put(index);
  using _ = unharmed();
  const storage = new Storage({ client: lab.etcd });
  lab.also(() => storage.close());
  const { warnings, failures } = received(storage);
  const held = new Map<string, string>();
  const watch = storage.watch(
    under,
    (id, value) => held.set(id, value),
    (id) => held.delete(id),
    { initial: "replay" },
  );
  await watch.ready;
  for (const index of times(15, (at) => at + 15)) await put(index);
  await storage.put(`${under}~last`, nastyText, { ttlSeconds: 60 });
  await until(() => held.get("~last") === nastyText);
  const { kvs } = await lab.etcd.range(prefix(under));
  const readable = kvs.filter(({ key }) => !key.includes("\ufffd"));
  expect([...held].sort()).toEqual(readable.map(({ key, text }) => [key.slice(under.length), text]).sort());
  expect(warnings).toHaveLength(kvs.length - readable.length);
  expect(warnings.filter((error) => !(error instanceof InvalidValueError))).toEqual([]);
  await lab.etcd.delete(prefix(under));
  await until(() => held.size === 0);
  expect(failures).toEqual([]);
});

test.each(rounds)("an expirer keeps the good ids among hostile ones: %s", async (round) => {
  const random = seeded(`expirer ${round}`);
  const under = lab.newPrefix();
  const fields = { bucket: "1", expiresAt: "8640000000000000" };
  const put = async (index: number) =>
    lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyValue(random, fields));
  for (const index of times(20, (at) => at)) await put(index);
  using _ = unharmed();
  const expired: string[] = [];
  const hostileKnown = ["mine", "", "/etc", "\ud800", 5, null, nastyText] as string[];
  const caches = new CacheExpirer(under, {
    client: lab.etcd,
    ttlSeconds: 60,
    onExpire: (id) => expired.push(id),
    known: () => hostileKnown,
  });
  lab.also(() => caches.close());
  const { warnings, failures } = received(caches);
  await caches.ready;
  await expect(caches.track("a/../../etc")).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION" });
  await lab.etcd.put(`${under}../../root`, "");
  await caches.track("good");
  for (const index of times(20, (at) => at + 20)) await put(index);
  await caches.track("~last");
  expect(await caches.touch("good")).toBe(true);
  await until(() => expired.includes("mine") && expired.includes(nastyText));
  expect(expired.filter((id) => ["", "/etc", "\ud800", 5, null, "good", "~last"].includes(id))).toEqual([]);
  let ids: string[] = [];
  let safe: string[] = [];
  // Anew each time: one that says that its time is over is deleted within a second.
  await until(async () => {
    const { kvs } = await lab.etcd.range(prefix(under));
    ids = kvs.map(({ key }) => key.slice(under.length));
    safe = ids.filter((id) => !id.includes("\ufffd") && !id.startsWith("/") && !id.includes(".."));
    return caches.size === safe.length;
  });
  expect(warnings.filter(({ message }) => message.includes("is left out"))).toHaveLength(ids.length - safe.length);
  await lab.etcd.delete(prefix(under));
  await until(() => safe.every((id) => expired.includes(id)));
  // Taken for a path, it would lead out of the folder of the caches.
  expect(expired.filter((id) => id.startsWith("/") || id.includes(".."))).toEqual([]);
  expect(failures).toEqual([]);
});

test("an expirer takes no key for an id that names nothing, or leads anywhere but down", async () => {
  const under = lab.newPrefix();
  const bad = ["", "/etc", ".", "..", "./a", "a/.", "a/./b", "../a", "a/../../b", "a/.."];
  for (const id of bad) await lab.etcd.put(`${under}${id}`, "");
  await lab.etcd.put(Buffer.concat([Buffer.from(under), Buffer.from([0xff])]), "");
  for (const id of ["...", "a/.b", "..a"]) await lab.etcd.put(`${under}${id}`, "");
  const caches = new CacheExpirer(under, { client: lab.etcd, ttlSeconds: 60, onExpire() {} });
  lab.also(() => caches.close());
  const { warnings } = received(caches);
  await caches.ready;
  expect(caches.size).toBe(3);
  expect(warnings.filter(({ message }) => message.includes("is left out"))).toHaveLength(bad.length + 1);
  for (const id of bad) {
    for (const call of [caches.track(id), caches.touch(id), caches.evict(id)]) {
      await expect(call).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION" });
    }
  }
});

test("an expirer sweeps only what has an end that is a number", async () => {
  const under = lab.newPrefix();
  for (const [id, end] of Object.entries({ text: '"1"', yes: "true", list: "[1]", nothing: "null", past: "1" })) {
    await lab.etcd.put(`${under}${id}`, `{"bucket":1,"expiresAt":${end}}`);
  }
  const expired: string[] = [];
  const caches = new CacheExpirer(under, { client: lab.etcd, ttlSeconds: 60, onExpire: (id) => expired.push(id) });
  lab.also(() => caches.close());
  await until(() => expired.includes("past"));
  expect(expired).toEqual(["past"]);
  expect((await lab.etcd.range(prefix(under))).count).toBe(4);
});

test.each(rounds)("hostile cancellations cancel what they name and nothing else: %s", async (round) => {
  const random = seeded(`cancellation ${round}`);
  const under = lab.newPrefix();
  const put = async (index: number) => lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyValue(random, {}));
  for (const index of times(15, (at) => at)) await put(index);
  using _ = unharmed();
  const cancellation = new Cancellation(under, { client: lab.etcd });
  lab.also(() => cancellation.close());
  const { warnings, failures } = received(cancellation);
  const cancelled = new Map<string, string>();
  cancellation.on("cancelled", (id, reason) => cancelled.set(id, reason));
  await cancellation.ready;
  const names = ["__proto__", "constructor", "toString"];
  const signals = [...names, "run-1", "run-2"].map((id) => cancellation.signal(id));
  for (const index of times(15, (at) => at + 15)) await put(index);
  await lab.etcd.put(`${under}run-1`, nastyText);
  await until(() => signals[3]?.aborted);
  expect(signals[3]?.reason).toBeInstanceOf(CancelledError);
  expect(signals[3]?.reason).toMatchObject({ reason: nastyText, message: expect.not.stringMatching(/\p{Cc}/u) });
  expect(signals.filter(({ aborted }) => aborted)).toHaveLength(1);
  const { kvs } = await lab.etcd.range(prefix(under));
  const readable = kvs.filter(({ key }) => !key.includes("\ufffd"));
  expect([...cancelled].sort()).toEqual(readable.map(({ key, text }) => [key.slice(under.length), text]).sort());
  expect(warnings.filter((error) => !(error instanceof InvalidValueError))).toEqual([]);
  expect(warnings).toHaveLength(kvs.length - readable.length);
  expect(await cancellation.cancel("__proto__", "by its owner")).toBe(true);
  expect(signals[0]?.aborted).toBe(true);
  expect(failures).toEqual([]);
});

test("a confirmation of no id, or of one that is not UTF-8, is pending nowhere", async () => {
  const under = lab.newPrefix();
  const confirmation = new Confirmation(under, { client: lab.etcd });
  lab.also(() => confirmation.close());
  const { warnings } = received(confirmation);
  const requested: string[] = [];
  confirmation.on("requested", ({ id }) => requested.push(id));
  await confirmation.ready;
  const record = `{"requestedAt":1,"deadline":${Date.now() + 60_000}}`;
  for (const id of [Buffer.alloc(0), Buffer.from([0xff]), Buffer.from("b")]) {
    for (const part of ["/request", "/pending"]) {
      await lab.etcd.put(Buffer.concat([Buffer.from(under), id, Buffer.from(part)]), record);
    }
  }
  await until(() => requested.includes("b"));
  expect(requested).toEqual(["b"]);
  expect((await confirmation.pending()).map(({ id }) => id)).toEqual(["b"]);
  expect(warnings.filter((error) => error instanceof InvalidValueError)).toHaveLength(4);
});

test.each(rounds)("confirmations are asked for and given among hostile ones: %s", async (round) => {
  const random = seeded(`confirmation ${round}`);
  const under = lab.newPrefix();
  const request = { requestedAt: "1", deadline: "2" };
  const decision = { decision: '"approved"', by: '"alice"', reason: '"r"', decidedAt: "1", nonce: '"n"' };
  const put = async (index: number) => {
    const part = random.pick(["/request", "/pending", "/decision", "/decision", "/other", ""]);
    const id = Buffer.concat([keyUnder(under, nastyKey(random, index)), Buffer.from(part)]);
    await lab.etcd.put(id, nastyValue(random, part === "/decision" ? decision : request));
  };
  for (const index of times(20, (at) => at)) await put(index);
  for (const part of ["request", "pending"]) await lab.etcd.put(`${under}bad-request/${part}`, nastyJson(random));
  for (const part of ["request", "pending"])
    await lab.etcd.put(`${under}decided/${part}`, nastyObject(random, request));
  await lab.etcd.put(`${under}decided/decision`, "{");
  using _ = unharmed();
  const confirmation = new Confirmation(under, { client: lab.etcd });
  lab.also(() => confirmation.close());
  const { warnings, failures } = received(confirmation);
  await confirmation.ready;
  const asked = ["good", "__proto__", "a/../b"].map((id) => confirmation.request(id, { timeoutSeconds: 60 }));
  for (const index of times(20, (at) => at + 20)) await put(index);
  const own = (await until(async () => {
    const pending = (await confirmation.pending()).map(({ id }) => id);
    return pending.includes("good") && pending.includes("__proto__") && pending.includes("a/../b") && pending;
  })) as string[];
  expect(own).not.toContain("decided");
  await expect(confirmation.request("decided", { timeoutSeconds: 60 })).rejects.toBeInstanceOf(InvalidValueError);
  await expect(confirmation.approve("decided", "alice")).rejects.toBeInstanceOf(InvalidValueError);
  await confirmation.approve("good", nastyText);
  await confirmation.reject("__proto__", "bob", nastyText);
  await confirmation.approve("a/../b", "carol");
  expect(await Promise.all(asked)).toEqual([
    { decision: "approved", by: nastyText },
    { decision: "rejected", by: "bob", reason: nastyText },
    { decision: "approved", by: "carol" },
  ]);
  expect(warnings.filter((error) => !(error instanceof InvalidValueError))).toEqual([]);
  expect(failures).toEqual([]);
});
