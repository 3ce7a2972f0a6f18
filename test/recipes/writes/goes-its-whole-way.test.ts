import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  Confirmation,
  LeaderElection,
  Mutex,
  Queue,
  RegistrationGroup,
  ServiceRegister,
  Storage,
} from "../../../recipes/index.ts";
import { EtcdClient, RequestRefusedError } from "../../../src/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 26: what is accepted must be able to go its whole way. Of a request etcd counts all bytes, and later steps
// add some.

/** An etcd that takes little, so that its limit is found soon; the rules are the same. */
const MOST_REQUEST_BYTES = 60_000;

let lab: RegistryLab;
let small: RegistryLab;

beforeAll(async () => {
  [lab, small] = await Promise.all([
    RegistryLab.start(),
    RegistryLab.start({ flags: [`--max-request-bytes=${MOST_REQUEST_BYTES}`] }),
  ]);
});
afterEach(() => Promise.all([lab.clear(), small.clear()]));
afterAll(() => Promise.all([lab?.[Symbol.asyncDispose](), small?.[Symbol.asyncDispose]()]));

/** The largest size that is accepted; `attempt` takes back what it did. */
async function largest(attempt: (bytes: number) => Promise<unknown>): Promise<number> {
  let fits = MOST_REQUEST_BYTES / 2;
  let tooLarge = MOST_REQUEST_BYTES;
  while (tooLarge - fits > 1) {
    const middle = (fits + tooLarge) >> 1;
    try {
      await attempt(middle);
      fits = middle;
    } catch (error) {
      expect(error).toBeInstanceOf(RequestRefusedError);
      tooLarge = middle;
    }
  }
  expect(fits).toBeGreaterThan(0.9 * MOST_REQUEST_BYTES);
  return fits;
}

describe("a job of the largest size that is accepted", () => {
  const kinds: Record<string, { id?: string; delayMs?: number; many?: true }> = {
    "with an id that is made": {},
    "with a long id": { id: "i".repeat(300) },
    "with a delay": { id: "a", delayMs: 1 },
    "that is added with others": { many: true },
  };
  for (const [kind, { many, ...options }] of Object.entries(kinds)) {
    test(`${kind} is claimed, given back, buried, put back and done`, async () => {
      const name = small.newPrefix().slice(0, -1);
      const queue = new Queue(name, { client: small.etcd, maxAttempts: 3 });
      small.also(() => queue.close());
      const warnings: Error[] = [];
      queue.on("warning", (error) => warnings.push(error));
      const add = (bytes: number) =>
        many ? queue.enqueueMany(["x".repeat(bytes), "y"]) : queue.enqueue("x".repeat(bytes), options);
      const bytes = await largest(async (middle) => {
        await add(middle);
        const { kvs } = await small.etcd.range({
          start: Buffer.from(`${name}/jobs/`),
          end: Buffer.from(`${name}/jobs0`),
        });
        for (const { key } of kvs) await small.etcd.delete(key);
      });
      await add(bytes);
      const next = async () => {
        for (;;) {
          const job = await queue.dequeue({ signal: AbortSignal.timeout(20_000) });
          if (job.value !== "y") return job;
          await job.ack();
        }
      };
      const first = await next();
      await first.release({ delayMs: 5 });
      await (await next()).release();
      await (await next()).release();
      expect(await queue.deadLetters()).toMatchObject([{ id: first.id, attempts: 3 }]);
      expect(await queue.putBack(first.id)).toBe(true);
      await (await next()).ack();
      expect(await queue.size()).toBe(0);
      expect(warnings).toEqual([]);
    });
  }
});

test("a stored value of the largest size that is accepted can be touched", async () => {
  const storage = new Storage({ client: small.etcd });
  small.also(() => storage.close());
  const key = `${small.newPrefix()}k`;
  const bytes = await largest((middle) => storage.put(key, "x".repeat(middle), { ttlSeconds: 60 }));
  await storage.put(key, "x".repeat(bytes), { ttlSeconds: 60 });
  const before = await small.etcd.get(key);
  expect(await storage.touch(key, { ttlSeconds: 600 })).toBe(true);
  expect((await small.etcd.get(key))?.lease).not.toBe(before?.lease);
});

test("a registration of the largest size that is accepted drains before it leaves", async () => {
  const key = `${small.newPrefix()}m`;
  const options = (bytes: number) => ({ format: "endpoint", metadata: { text: "x".repeat(bytes) } }) as const;
  const register = async (bytes: number) => {
    const made = new ServiceRegister(key, "10.0.0.1:80", 60, { client: small.etcd, ...options(bytes) });
    made.on("failed", () => {});
    small.also(() => made.close());
    try {
      await made.ready;
      return made;
    } catch (error) {
      await made.close();
      throw error;
    }
  };
  const found = await largest(async (middle) => (await register(middle)).close());
  // The revisions that a request compares grow meanwhile, and can take a byte more each.
  const made = await register(found - 4);
  const warnings: Error[] = [];
  made.on("warning", (error) => warnings.push(error));
  const drained = small.etcd.watch(key);
  await drained.ready;
  const closing = made.close({ drainMs: 1 });
  for await (const { events } of drained) {
    expect(events[0]).toMatchObject({ type: "put" });
    expect(events[0]?.kv.text).toContain('"etcd-recipes/draining":true');
    break;
  }
  await closing;
  expect(warnings).toEqual([]);
});

test("a group's instance of the largest size that is accepted drains before it leaves", async () => {
  const prefix = small.newPrefix();
  const group = new RegistrationGroup(prefix, 60, { client: small.etcd });
  small.also(() => group.close());
  const register = (bytes: number) => {
    const options = { format: "endpoint", metadata: { text: "x".repeat(bytes) } } as const;
    const member = group.register("m", "10.0.0.1:80", options);
    member.on("failed", () => {});
    return member;
  };
  const bytes = await largest(async (middle) => {
    const member = register(middle);
    try {
      await member.ready;
    } finally {
      await member.close();
    }
  });
  const member = register(bytes);
  await member.ready;
  const drained = small.etcd.watch(`${prefix}m`);
  await drained.ready;
  const closing = member.close({ drainMs: 1 });
  for await (const { events } of drained) {
    expect(events[0]?.kv.text).toContain('"etcd-recipes/draining":true');
    break;
  }
  await closing;
});

describe("the longest name, prefix and id", () => {
  const longest = 65_536;
  const long = (begin: string, bytes = longest) => begin.padEnd(bytes, "n");

  test("of a queue, a lock, an election and a registration", async () => {
    const name = long(lab.newPrefix());
    const client = lab.etcd;
    await using queue = new Queue(name, { client, maxAttempts: 1 });
    await queue.enqueue("v", { id: long("i") });
    await (await queue.dequeue()).release();
    expect(await queue.putBack(long("i"))).toBe(true);
    await (await queue.dequeue()).ack();
    await using mutex = new Mutex(`${name.slice(0, -1)}m`, { client });
    expect(await mutex.run((lock) => lock.txn([]))).toMatchObject({ succeeded: true });
    await using election = new LeaderElection(`${name.slice(0, -1)}e`, "me", { client });
    expect(await election.lead((term) => term.proclaim("x").then(() => election.leader()))).toMatchObject({
      candidate: "x",
    });
    const register = lab.register(name, "10.0.0.1:80", 60, { format: "endpoint" });
    await register.ready;
    await register.close({ drainMs: 1 });
    await using group = new RegistrationGroup(long(lab.newPrefix(), 60_000), 60, { client });
    const members = Array.from({ length: 20 }, (_, index) => group.register(long(`${index}-`, 5_000), "10.0.0.1:80"));
    await Promise.all(members.map(({ ready }) => ready));
  });

  test("of a cache, a cancellation and a confirmation", async () => {
    const client = lab.etcd;
    const prefix = () => `${long(lab.newPrefix(), longest - 1)}/`;
    await using caches = new CacheExpirer(prefix(), { client, ttlSeconds: 60, onExpire: () => {} });
    await caches.ready;
    await caches.track(long("i"));
    expect(await caches.touch(long("i"))).toBe(true);
    expect(await caches.evict(long("i"))).toBe(true);
    await using cancellation = new Cancellation(prefix(), { client });
    const signal = cancellation.signal(long("r"));
    await cancellation.cancel(long("r"), "enough");
    await until(() => signal.aborted);
    await using confirmation = new Confirmation(prefix(), { client });
    const asked = confirmation.request(long("c"), { timeoutSeconds: 60 });
    await until(async () => (await confirmation.pending()).length === 1);
    await confirmation.approve(long("c"), "me");
    expect(await asked).toMatchObject({ decision: "approved" });
  });

  test("one byte more is refused by name", () => {
    const tooLong = "n".repeat(longest + 1);
    const client = lab.etcd;
    const refusal = (option: string) =>
      expect.objectContaining({ option, message: expect.stringMatching(/must be at most 65536 bytes, not 65537$/) });
    expect(() => new Queue(tooLong, { client })).toThrow(refusal("name"));
    expect(() => new Mutex(tooLong, { client })).toThrow(refusal("name"));
    expect(() => new ServiceRegister(tooLong, "a:1", 5, { client })).toThrow(refusal("key"));
    expect(() => new Cancellation(tooLong, { client })).toThrow(refusal("prefix"));
    const group = new RegistrationGroup("/g/", 5, { client });
    lab.also(() => group.close());
    expect(() => group.register(tooLong, "a:1")).toThrow(refusal("id"));
  });
});

describe("the longest TTLs", () => {
  const detached = 8_000_000_000;
  const kept = 9_000_000_000;

  test("of detached leases", async () => {
    const client = lab.etcd;
    await using storage = new Storage({ client });
    const key = `${lab.newPrefix()}k`;
    await storage.put(key, "v", { ttlSeconds: detached });
    expect(await storage.touch(key)).toBe(true);
    expect(await storage.touch(key, { ttlSeconds: detached })).toBe(true);
    await using caches = new CacheExpirer(lab.newPrefix(), { client, ttlSeconds: detached, onExpire: () => {} });
    await caches.track("a");
    expect(await caches.touch("a")).toBe(true);
    expect(await caches.evict("a")).toBe(true);
    await using cancellation = new Cancellation(lab.newPrefix(), { client, ttlSeconds: detached });
    expect(await cancellation.cancel("r", "enough")).toBe(true);
    await using confirmation = new Confirmation(lab.newPrefix(), { client, retainSeconds: detached / 2 });
    const asked = confirmation.request("c", { timeoutSeconds: detached / 2 });
    await until(async () => (await confirmation.pending()).length === 1);
    await confirmation.reject("c", "me");
    expect(await asked).toMatchObject({ decision: "rejected" });
  });

  test("of leases that are kept alive", async () => {
    const client = lab.etcd;
    const prefix = lab.newPrefix();
    const register = lab.register(`${prefix}m`, "10.0.0.1:80", kept, { health: () => true });
    await register.ready;
    await register.close();
    await using mutex = new Mutex(`${prefix}lock`, { client, ttlSeconds: kept });
    expect(await mutex.run(() => 5)).toBe(5);
    await using election = new LeaderElection(`${prefix}leader`, "me", { client, ttlSeconds: kept });
    expect(await election.lead(() => 5)).toBe(5);
    await using queue = new Queue(`${prefix}queue`, { client, ttlSeconds: kept });
    await queue.enqueue("v");
    await (await queue.dequeue({ visibilitySeconds: 2_000_000 })).ack();
    await queue.close();
    await until(async () => Object.keys(await viewOf(client, prefix)).length === 0);
  });

  test("one second more is refused by the option that the caller wrote, and nothing is sent", async () => {
    // No server listens there: what is sent would wait.
    await using client = new EtcdClient({ endpoints: "http://127.0.0.1:1", requestTimeoutMs: 60_000 });
    const refusal = (option: string, most: number) =>
      expect.objectContaining({
        code: "ETCD_INVALID_OPTION",
        option,
        message: expect.stringContaining(
          `${option} must be a whole number of seconds from 1 to ${most}, not ${most + 1}`,
        ),
      });
    await using storage = new Storage({ client });
    const ttlSeconds = detached + 1;
    await expect(storage.put("k", "v", { ttlSeconds })).rejects.toThrow(refusal("ttlSeconds", detached));
    await expect(storage.touch("k", { ttlSeconds })).rejects.toThrow(refusal("ttlSeconds", detached));
    expect(() => new CacheExpirer("/c/", { client, ttlSeconds, onExpire: () => {} })).toThrow(
      refusal("ttlSeconds", detached),
    );
    expect(() => new Cancellation("/c/", { client, ttlSeconds })).toThrow(refusal("ttlSeconds", detached));
    const half = detached / 2;
    expect(() => new Confirmation("/c/", { client, retainSeconds: half + 1 })).toThrow(refusal("retainSeconds", half));
    await using confirmation = new Confirmation("/c/", { client });
    await expect(confirmation.request("c", { timeoutSeconds: half + 1 })).rejects.toThrow(
      refusal("timeoutSeconds", half),
    );
    expect(() => new Mutex("/l", { client, ttlSeconds: kept + 1 })).toThrow(refusal("ttlSeconds", kept));
  });
});
