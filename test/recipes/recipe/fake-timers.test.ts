import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  Confirmation,
  LeaderElection,
  Mutex,
  Queue,
  RegistrationGroup,
  Storage,
} from "../../../recipes/index.ts";
import { clearTimeout, monotonicMs, setTimeout } from "../../../src/internal/real-time.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

// The time of a test that uses fake timers stands still; etcd's does not, nor may the library's.

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Node's, of those that Jest's fake timers replace by default; vitest's leave microtasks alone. */
const jest = [
  "Date",
  "performance",
  "queueMicrotask",
  "setImmediate",
  "clearImmediate",
  "setInterval",
  "clearInterval",
  "setTimeout",
  "clearTimeout",
] as const;

describe.each([
  ["vitest's", () => vi.useFakeTimers()],
  ["Jest's", () => vi.useFakeTimers({ toFake: [...jest] })],
  ["a clock of another year", () => vi.useFakeTimers().setSystemTime(new Date("2100-01-01"))],
] as const)("%s default fake timers", (_, useFakeTimers) => {
  beforeEach(() => {
    useFakeTimers();
  });
  afterEach(async () => {
    // What is closed after a test is closed under its fake timers.
    await ends(lab.clear());
    vi.useRealTimers();
  });

  test("the client's calls, leases, watches and mirrors", async () => {
    const key = lab.newPrefix();
    const client = lab.client();
    await ends(client.put(key, "a"));
    expect((await ends(client.get(key)))?.text).toBe("a");
    await ends(Promise.all([client.put(`${key}1`, "1", { batch: true }), client.put(`${key}2`, "2", { batch: true })]));
    const watch = client.watch(key);
    const mirror = client.mirror(key);
    await ends(watch.ready);
    await ends(mirror.ready);
    await ends(client.delete(key));
    for await (const { events } of watch) {
      expect(events[0]?.type).toBe("delete");
      break;
    }
    await ends(mirror.close());
    await ends(client.status());
    const lease = await ends(client.grantLease(2));
    const began = performance.now();
    await eventually(async () => (await lease.timeToLive()).remainingSeconds === 0 || lease.remainingMs() < 1_400);
    await eventually(async () => lease.remainingMs() > 1_500);
    expect(performance.now()).toBe(began);
    expect(lease.signal.aborted).toBe(false);
    await ends(lease.revoke());
  });

  test("a call's time, over a link that carries nothing", async () => {
    await using proxy = await ends(FaultProxy.start(lab.endpoint));
    const client = lab.client({ endpoints: proxy.endpoint });
    await ends(client.get("k"));
    proxy.blackHole();
    await expect(ends(client.get("k", { timeoutMs: 300 }))).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
    await expect(ends(client.put("k", "v", { timeoutMs: 300 }))).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  });

  test("registrations and their list", async () => {
    const prefix = lab.newPrefix();
    const services = lab.subscribe(prefix);
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { format: "endpoint" });
    await ends(register.ready);
    const group = new RegistrationGroup(prefix, 5, { client: lab.etcd });
    lab.also(() => group.close());
    await ends(group.register("m2", "10.0.0.2:80").ready);
    await ends(services.until((list) => list.length === 2));
    await ends(register.update({ weight: 2 }));
    await ends(services.until((list) => list.some(({ weight }) => weight === 2)));
    expect(await ends(services.call(({ address }) => address))).toMatch(/^10\./);
    await ends(register.close());
    await ends(services.until((list) => list.length === 1));
    const monitor = new ClusterMonitor(lab.newPrefix(), { client: lab.etcd });
    lab.also(() => monitor.close());
    await ends(monitor.join("w1", {}).ready);
    await eventually(async () => monitor.nodes().length === 1);
  });

  test("elections and locks", async () => {
    const name = lab.newPrefix().slice(0, -1);
    const election = new LeaderElection(name, "me", { client: lab.etcd });
    lab.also(() => election.close());
    const led = await ends(election.lead(async () => (await election.leader())?.candidate));
    expect(led).toBe("me");
    const mutex = new Mutex(`${name}-lock`, { client: lab.etcd });
    lab.also(() => mutex.close());
    const first = await ends(mutex.acquire());
    await expect(ends(mutex.acquire({ timeoutMs: 200 }))).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
    await ends(first.release());
    expect(await ends(mutex.run(() => 5))).toBe(5);
  });

  test("a queue", async () => {
    const queue = new Queue(lab.newPrefix().slice(0, -1), { client: lab.etcd });
    lab.also(() => queue.close());
    await ends(queue.enqueueMany(["a", "b"]));
    await ends((await ends(queue.dequeue())).ack());
    const held = await ends(queue.dequeue({ visibilitySeconds: 0.1 }));
    const again = await ends(queue.dequeue());
    expect(again).toMatchObject({ id: held.id, attempt: 2 });
    await ends(again.release({ delayMs: 100 }));
    await ends((await ends(queue.dequeue())).ack());
    expect(await ends(queue.size())).toBe(0);
  });

  test("storage and caches", async () => {
    const prefix = lab.newPrefix();
    const storage = new Storage({ client: lab.etcd });
    lab.also(() => storage.close());
    const received: string[] = [];
    const watch = storage.watch(
      prefix,
      () => void received.push("put"),
      () => void received.push("delete"),
    );
    await ends(watch.ready);
    await ends(storage.put(`${prefix}k`, "v", { ttlSeconds: 60 }));
    await ends(storage.delete(`${prefix}k`));
    await eventually(async () => received.length === 2);
    const expired: string[] = [];
    const options = { client: lab.etcd, ttlSeconds: 1, onExpire: (id: string) => void expired.push(id) };
    const caches = new CacheExpirer(lab.newPrefix(), options);
    lab.also(() => caches.close());
    await ends(caches.ready);
    await ends(caches.track("a"));
    await ends(caches.track("b"));
    await ends(caches.touch("a"));
    await ends(caches.evict("b"));
    await eventually(async () => expired.length === 2);
  });

  test("cancellations and confirmations", async () => {
    const cancellation = new Cancellation(lab.newPrefix(), { client: lab.etcd });
    lab.also(() => cancellation.close());
    await ends(cancellation.ready);
    const signal = cancellation.signal("run");
    await ends(cancellation.cancel("run", "enough"));
    await eventually(async () => signal.aborted);
    const confirmation = new Confirmation(lab.newPrefix(), { client: lab.etcd });
    lab.also(() => confirmation.close());
    const asked = confirmation.request("yes", { timeoutSeconds: 60 });
    await eventually(async () => (await confirmation.pending()).length === 1);
    await ends(confirmation.approve("yes", "me"));
    expect(await ends(asked)).toMatchObject({ decision: "approved" });
    expect(await ends(confirmation.request("late", { timeoutSeconds: 1 }))).toMatchObject({ decision: "timeout" });
  });
});

test("an etcd for tests starts, moves its leader and ends under fake timers", async () => {
  vi.useFakeTimers();
  try {
    const cluster = await ends(startEtcd({ members: 3 }));
    await ends(cluster.leader());
    await ends(cluster[Symbol.asyncDispose]());
  } finally {
    vi.useRealTimers();
  }
});

/** Within 20 s of the true time. */
function ends<T>(promise: PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("it hangs")), 20_000);
    promise.then(resolve, reject).then(() => clearTimeout(timer));
  });
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const endMs = monotonicMs() + 20_000;
  while (!(await ends(holds()))) {
    if (monotonicMs() > endMs) throw new Error("it never holds");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
