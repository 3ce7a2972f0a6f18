import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  type ClusterNode,
  Confirmation,
  LeaderElection,
  Queue,
  RegistrationGroup,
  Storage,
} from "../../../recipes/index.ts";
import { JobsInHand } from "../../../recipes/queue/jobs-in-hand.ts";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { RequestRefusedError, type TxnOptions } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/index.ts";
import { historyOf, revisionOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// A write that etcd refuses, here one of 1.6 MB, rejects its caller. The object behind it lives, and its last good
// value stays.

const tooLarge = "x".repeat(1_600_000);
/** Long enough for a machine that has much else to do. */
const ttlSeconds = 30;
const refused = { code: "ETCD_REQUEST_REFUSED" };

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function use<Made extends AsyncDisposable>(made: Made): Made {
  lab.also(async () => made[Symbol.asyncDispose]());
  return made;
}

async function textOf(key: string): Promise<string | undefined> {
  return (await lab.etcd.get(key))?.text;
}

test("ServiceRegister: the update rejects, the value before it stays, and a later one is written", async () => {
  const key = `${lab.newPrefix()}a`;
  const register = lab.register(key, "10.0.0.1:80", ttlSeconds, { metadata: { zone: "a" } });
  const warnings: Error[] = [];
  register.on("warning", (error) => warnings.push(error));
  await register.ready;
  await expect(register.update({ metadata: { tooLarge } })).rejects.toMatchObject(refused);
  expect(register.status).toBe("registered");
  expect(warnings).toMatchObject([refused]);
  expect(await textOf(key)).toContain('"zone":"a"');
  // It goes on being kept.
  await lab.etcd.delete(key);
  await until(async () => (await textOf(key))?.includes('"zone":"a"'));
  await register.update({ metadata: { zone: "b" } });
  expect(await textOf(key)).toContain('"zone":"b"');
  expect(register.lastError).toBeUndefined();
});

test("ServiceRegister: of updates that travel together only the one to blame rejects", async () => {
  const key = `${lab.newPrefix()}a`;
  const register = lab.register(key, "10.0.0.1:80", ttlSeconds, { metadata: { zone: "a" } });
  await register.ready;
  const updates = [
    register.update({ weight: 7 }),
    register.update({ address: "10.0.0.2:80" }),
    register.update({ metadata: { tooLarge } }),
    register.update({ weight: 9 }),
    register.update({ draining: true }),
  ];
  const outcomes = await Promise.allSettled(updates);
  expect(outcomes.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect(JSON.parse((await textOf(key)) ?? "")).toMatchObject({
    Addr: "10.0.0.2:80",
    Metadata: { zone: "a", "etcd-recipes/weight": 9, "etcd-recipes/draining": true },
  });
});

test("ServiceRegister: the first registration rejects, and one whose update is too large before it does not", async () => {
  const prefix = lab.newPrefix();
  const bad = lab.register(`${prefix}bad`, "10.0.0.1:80", ttlSeconds, { metadata: { tooLarge } });
  await expect(bad.ready).rejects.toMatchObject(refused);
  expect(bad.status).toBe("failed");
  const good = lab.register(`${prefix}good`, "10.0.0.1:80", ttlSeconds, { metadata: { zone: "a" } });
  const update = good.update({ metadata: { tooLarge } });
  await expect(update).rejects.toMatchObject(refused);
  await good.ready;
  expect(await textOf(`${prefix}good`)).toContain('"zone":"a"');
});

test("ServiceRegister: closed right after such an update it still shows that it drains", async () => {
  const key = `${lab.newPrefix()}a`;
  const register = lab.register(key, "10.0.0.1:80", ttlSeconds, { metadata: { zone: "a" } });
  await register.ready;
  register.update({ metadata: { tooLarge } }).catch(() => {});
  const start = await revisionOf(lab.etcd);
  await register.close({ drainMs: 1 });
  const history = await historyOf(lab.etcd, key, start + 1);
  expect(history.map(({ type, kv }) => type === "put" && kv.text.includes("etcd-recipes/draining"))).toEqual([
    true,
    false,
  ]);
});

test("RegistrationGroup: the update of one member rejects, and it and the others stay", async () => {
  const prefix = lab.newPrefix();
  const group = use(new RegistrationGroup(prefix, ttlSeconds, { client: lab.client() }));
  const members = ["a", "b", "c"].map((id) => group.register(id, "10.0.0.1:80", { metadata: { id } }));
  await group.ready;
  const [a, b, c] = members;
  const outcomes = await Promise.allSettled([
    a?.update({ weight: 2 }),
    b?.update({ weight: 3 }),
    b?.update({ metadata: { tooLarge } }),
    b?.update({ draining: true }),
    c?.update({ weight: 2 }),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect(members.map(({ status }) => status)).toEqual(["registered", "registered", "registered"]);
  expect(JSON.parse((await textOf(`${prefix}b`)) ?? "").Metadata).toEqual({
    id: "b",
    "etcd-recipes/weight": 3,
    "etcd-recipes/draining": true,
  });
  await lab.etcd.delete(`${prefix}b`);
  await until(async () => (await textOf(`${prefix}b`)) !== undefined);
  await b?.update({ metadata: { id: "good" } });
  expect(await textOf(`${prefix}b`)).toContain("good");
});

test("ClusterMonitor: what a node says too much of rejects, and nothing of it comes with what is said next", async () => {
  const monitor = use(new ClusterMonitor<{ text: string }>(lab.newPrefix(), { client: lab.etcd, ttlSeconds }));
  const membership = monitor.join("a", { text: "first" });
  await Promise.all([monitor.ready, membership.ready]);
  await expect(membership.update({ text: tooLarge })).rejects.toMatchObject(refused);
  expect(membership.status).toBe("registered");
  await until(() => monitor.nodes()[0]?.info.text === "first");
  const { lastChange = 0 } = monitor.nodes()[0] ?? {};
  const down = new Promise<ClusterNode<{ text: string }>>((resolve) => monitor.once("down", resolve));
  await membership.leave({ drainMs: 1 });
  const last = await down;
  expect(last).toMatchObject({ draining: true, info: { text: "first" } });
  // That it drains was written as news, which what was refused before would have kept out.
  expect(last.lastChange).toBeGreaterThan(lastChange);
});

test("LeaderElection: a proclamation rejects, and the term lasts", async () => {
  const election = use(new LeaderElection(`${lab.newPrefix()}leader`, "a", { client: lab.etcd, ttlSeconds }));
  await election.lead(async (term) => {
    await expect(term.proclaim(tooLarge)).rejects.toMatchObject(refused);
    expect(term.signal.aborted).toBe(false);
    await term.proclaim("b");
    expect(await election.leader()).toMatchObject({ candidate: "b" });
  });
});

test("Queue: a job rejects its caller, and producer and worker go on", async () => {
  const queue = use(new Queue(`${lab.newPrefix()}jobs`, { client: lab.etcd, ttlSeconds }));
  const waiting = queue.dequeue();
  await expect(queue.enqueue(tooLarge)).rejects.toMatchObject(refused);
  await expect(queue.enqueueMany(["first", tooLarge, "third"])).rejects.toMatchObject(refused);
  const job = await waiting;
  expect(job.value).toBe("first");
  await job.ack();
  expect(await queue.size()).toBe(0);
});

test("Queue: a job that cannot become a dead letter goes back, and ends no worker", async () => {
  const keys = new QueueKeys(`${lab.newPrefix()}jobs`);
  const requests: TxnOptions[] = [];
  const client = lab.client();
  const lease = await client.grantLease(5);
  await client.put(keys.worker(lease.id), "", { lease });
  const claim = await client.put(keys.job("a"), "claimed");
  const errors: unknown[] = [];
  const etcd = {
    txn: async (request: TxnOptions) => {
      requests.push(request);
      if (requests.length === 1) throw new RequestRefusedError("request is too large", { beyond: "requestBytes" });
      return client.txn(request);
    },
  };
  const inHand = new JobsInHand({
    keys,
    clock: systemRuntime.clock,
    maxAttempts: 1,
    writes: () => ({ etcd, runtime: systemRuntime, leftMs: () => 5_000, waitsOutDenial: true }),
    onNews: (news) => news.type === "failure" && errors.push(news.error),
  });
  const content = { value: "v", attempt: 1, notBefore: undefined, token: undefined };
  const jobKey = Buffer.from(keys.job("a"));
  const held = { id: "a", lease: lease.id, revision: claim.revision, jobCreateRevision: 1, content, jobKey };
  const job = inHand.hold(held, lease, undefined);
  await job.release();
  expect(errors).toMatchObject([refused]);
  expect(JSON.parse((await textOf(keys.job("a"))) ?? "")).toEqual({ value: "v", attempt: 1 });
});

test("Cancellation and Confirmation: a reason rejects its caller, and a shorter one arrives", async () => {
  const cancellation = use(new Cancellation(lab.newPrefix(), { client: lab.etcd }));
  await cancellation.ready;
  const signal = cancellation.signal("run");
  await expect(cancellation.cancel("run", tooLarge)).rejects.toMatchObject(refused);
  expect(signal.aborted).toBe(false);
  expect(await cancellation.cancel("run", "superseded")).toBe(true);
  expect(signal.aborted).toBe(true);

  const confirmation = use(new Confirmation(lab.newPrefix(), { client: lab.etcd }));
  await confirmation.ready;
  const asked = confirmation.request("run", { timeoutSeconds: 60 });
  await until(async () => (await confirmation.pending()).length === 1);
  await expect(confirmation.reject("run", "alice", tooLarge)).rejects.toMatchObject(refused);
  await confirmation.approve("run", "alice");
  expect(await asked).toMatchObject({ decision: "approved" });
});

test("CacheExpirer: one id that etcd refuses rejects alone, also among those of the same moment", async () => {
  const expirer = use(new CacheExpirer(lab.newPrefix(), { client: lab.client(), ttlSeconds: 600, onExpire: () => {} }));
  await expirer.ready;
  const ids = ["a", "b", tooLarge, "c", "d"];
  const outcomes = await Promise.allSettled(ids.map((id) => expirer.track(id)));
  expect(outcomes.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  expect(expirer.status).toBe("live");
  expect(await expirer.touch("a")).toBe(true);
});

test("Storage: a value rejects its caller, and the watch and the value before it stay", async () => {
  const prefix = lab.newPrefix();
  const storage = use(new Storage({ client: lab.etcd }));
  const seen: string[] = [];
  const watch = storage.watch(
    prefix,
    (_, value) => seen.push(value),
    () => {},
  );
  await watch.ready;
  await storage.put(`${prefix}a`, "one");
  await expect(storage.put(`${prefix}a`, tooLarge, { ttlSeconds: 60 })).rejects.toMatchObject(refused);
  expect(await storage.get(`${prefix}a`)).toBe("one");
  await storage.put(`${prefix}a`, "two");
  await until(() => seen.at(-1) === "two");
  expect(watch.status).toBe("live");
});
