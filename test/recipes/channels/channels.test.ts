import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  EtcdClient,
  type Job,
  LeaderElection,
  leaseId,
  Mutex,
  prefix,
  putOp,
  Queue,
  ServiceRegister,
  SubscribeService,
} from "../../../recipes/index.ts";
import { channels } from "../../../src/internal/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { heardOn, tracedOn } from "../../support/heard.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

test("a call begins in its caller's turn, and says what came of it", async () => {
  await etcd.get("warm");
  using calls = tracedOn("etcd-recipes:call");
  const putting = etcd.put("calls/a", "v");
  expect(calls.messages).toMatchObject([{ service: "etcdserverpb.KV", method: "Put" }]);
  await putting;
  await etcd.txn({ success: [putOp("calls/b", "v")] });
  const [endpoint] = cluster.endpoints;
  const said = { endpoint, attempt: 1, batchSize: 1, durationMs: expect.any(Number) };
  expect(calls.over).toMatchObject([
    { method: "Put", ...said },
    { method: "Txn", ...said },
  ]);
  expect(calls.over.some((message) => "error" in message)).toBe(false);
});

test("a call that goes alone after its batch was refused says what came of itself, and counts both", async () => {
  await etcd.get("warm");
  using calls = tracedOn("etcd-recipes:call");
  const outcomes = await Promise.all([
    outcomeOf(etcd.put("alone/a", "v", { batch: true })),
    outcomeOf(etcd.put("alone/b", "v", { batch: true, lease: leaseId("abc") })),
  ]);
  expect(outcomes.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual([
    undefined,
    "ETCD_LEASE_NOT_FOUND",
  ]);
  const alone = { method: "Put", batchSize: 1, attempt: 2, endpoint: cluster.endpoints[0] };
  expect(calls.over).toMatchObject([
    { ...alone, grpcStatus: undefined },
    { ...alone, grpcStatus: 5 },
  ]);
});

test("calls that travel together have a message each, in the context of its own caller", async () => {
  const caller = new AsyncLocalStorage<number>();
  const contexts: (number | undefined)[] = [];
  using calls = tracedOn("etcd-recipes:call", () => void contexts.push(caller.getStore()));
  await Promise.all(
    [1, 2, 3].map((number) => caller.run(number, () => etcd.put(`together/${number}`, "v", { batch: true }))),
  );
  expect(contexts).toEqual([1, 2, 3]);
  expect(calls.over).toMatchObject(
    [1, 2, 3].map(() => ({ method: "Put", batchSize: 3, attempt: 1, endpoint: cluster.endpoints[0] })),
  );
});

test("a call that fails says why, and what is open of it", async () => {
  using calls = tracedOn("etcd-recipes:call");
  const error = await outcomeOf(etcd.put("calls/lease", "v", { lease: "7777777777" as never }));
  expect(calls.over).toMatchObject([{ code: "ETCD_LEASE_NOT_FOUND", outcomeUnknown: false, grpcStatus: 5 }]);
  expect(calls.over[0]?.error).toMatchObject({ code: (error as { error: { code: string } }).error.code });
});

test("a wait for a lock, and a term, are reported", async () => {
  using locks = tracedOn("etcd-recipes:lock");
  using elections = heardOn("etcd-recipes:election");
  await using mutex = new Mutex("locks/a", { client: etcd });
  const lock = await mutex.acquire();
  expect(locks.over).toMatchObject([{ name: "locks/a", token: lock.token }]);
  await outcomeOf(mutex.acquire({ timeoutMs: 20 }));
  expect(locks.over[1]).toMatchObject({ code: "ETCD_TIMEOUT" });
  expect(locks.over[1]?.durationMs).toBeGreaterThanOrEqual(19);
  await using election = new LeaderElection("leaders/a", "me", { client: etcd });
  const token = await election.lead((term) => term.token);
  expect(elections.messages).toMatchObject([
    { name: "leaders/a", candidate: "me", event: "elected", token },
    { name: "leaders/a", candidate: "me", event: "resigned" },
  ]);
});

test("what a subscriber puts into an enqueue's context comes with the job, also for the second worker", async () => {
  const context = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  await using queue = new Queue("queues/a", { client: etcd });
  await queue.enqueue("before");
  using jobs = tracedOn("etcd-recipes:job");
  {
    using enqueues = tracedOn("etcd-recipes:enqueue", ({ traceContext }) => void Object.assign(traceContext, context));
    await queue.enqueue("after");
    await queue.enqueueMany(["and", "more"]);
    expect(enqueues.over).toMatchObject([{ queue: "queues/a", jobs: 1 }, { jobs: 2 }]);
  }
  {
    using _ = tracedOn("etcd-recipes:enqueue", ({ traceContext }) => {
      traceContext.baggage = "b".repeat(2_000);
    });
    await queue.enqueue("too much");
  }
  const [before, after] = [await queue.dequeue(), await queue.dequeue()];
  await before.ack();
  await after.release();
  const again: Job = await queue.dequeue();
  await again.ack();
  await queue.close();
  expect(jobs.over.slice(0, 3)).toMatchObject([
    { id: before.id, attempt: 1, job: before, outcome: "acknowledged" },
    { id: after.id, attempt: 1, traceContext: context, outcome: "released" },
    { id: after.id, attempt: 2, traceContext: context, outcome: "acknowledged" },
  ]);
  expect(jobs.messages[0]?.traceContext).toBeUndefined();
  const stored = (await etcd.range(prefix("queues/a/jobs/"))).kvs.map(({ text }) => JSON.parse(text));
  expect(stored).toMatchObject([
    { value: "and", trace: context },
    { value: "more", trace: context },
    { value: "too much" },
  ]);
  expect(stored[2]).not.toHaveProperty("trace");
});

test("a call to a service and each of its attempts, ejections and held removals are reported", async () => {
  using calls = tracedOn("etcd-recipes:service-call");
  using attempts = tracedOn("etcd-recipes:service-attempt");
  using ejections = heardOn("etcd-recipes:ejection");
  using held = heardOn("etcd-recipes:removals-held");
  await using bad = new ServiceRegister("svc/a", "10.0.0.1:1", 5, { client: etcd });
  await using good = new ServiceRegister("svc/b", "10.0.0.2:1", 5, { client: etcd });
  await Promise.all([bad.ready, good.ready]);
  await using services = new SubscribeService("svc/", {
    client: etcd,
    balancer: (list) => list[0] as (typeof list)[number],
    outlierDetection: { consecutiveFailures: 1 },
    maxDropRatio: 0.5,
  });
  services.on("warning", () => {});
  await services.ready;
  const inside = new AsyncLocalStorage<object>();
  const channel = tracingChannel("etcd-recipes:service-attempt");
  channel.start.bindStore(inside, (message) => message as object);
  const seen: unknown[] = [];
  const answer = await services.call(
    ({ id }) => {
      seen.push(inside.getStore());
      if (id === "a") throw new Error("down");
      return id;
    },
    { attempts: 2 },
  );
  channel.start.unbindStore(inside);
  expect(answer).toBe("b");
  expect(calls.over).toMatchObject([{ prefix: "svc/", attempt: 2 }]);
  expect(attempts.over).toMatchObject([
    { id: "a", address: "10.0.0.1:1", attempt: 1, error: { message: "down" } },
    { id: "b", address: "10.0.0.2:1", attempt: 2 },
  ]);
  expect(seen).toEqual(attempts.messages);
  expect(ejections.messages).toMatchObject([
    { prefix: "svc/", id: "a", event: "ejected", reason: "consecutive failures", times: 1 },
  ]);
  await etcd.delete(prefix("svc/"));
  await until(() => held.messages.length > 0);
  expect(held.messages[0]).toMatchObject({ prefix: "svc/", held: 2, missing: 2, of: 2 });
});

test("leases, watches and mirrors are reported across a restart of etcd", async () => {
  using renewed = heardOn("etcd-recipes:lease-renewed");
  using ended = heardOn("etcd-recipes:lease-ended");
  using batches = heardOn("etcd-recipes:watch-batch");
  using resumed = heardOn("etcd-recipes:resumption");
  using mirrors = heardOn("etcd-recipes:mirror");
  using relists = heardOn("etcd-recipes:relist");
  using dials = tracedOn("etcd-recipes:dial");
  await using own = new EtcdClient({ endpoints: cluster.endpoints });
  const lease = await own.grantLease(3);
  const detached = await own.grantLease(1, { keepAlive: false });
  await using mirror = own.mirror(prefix("mirrored/"));
  await mirror.ready;
  await own.put("mirrored/a", "v", { lease });
  await until(() => renewed.messages.length > 0 && mirror.size === 1);
  expect(renewed.messages[0]).toMatchObject({ leaseId: lease.id, ttlSeconds: 3 });
  const { marginMs = 0, remainingMs = 0 } = renewed.messages[0] ?? {};
  expect(marginMs).toBeGreaterThan(0);
  expect(remainingMs).toBeGreaterThan(marginMs);
  await cluster.member(0).kill();
  await until(() => mirror.status === "stale" && dials.over.some(({ error }) => error !== undefined));
  await cluster.member(0).restart();
  await until(() => resumed.messages.length > 0);
  await cluster.wipe();
  await until(() => relists.messages.length > 1);
  await lease.revoke().catch(() => {});
  const name = { range: 'prefix "mirrored/"', prefix: "mirrored/" };
  expect(relists.messages.filter(({ prefix }) => prefix === "mirrored/")).toMatchObject([
    { ...name, reason: "first", size: 0 },
    { ...name, reason: "history-lost", size: 0, deletes: 1 },
  ]);
  expect(batches.messages).toContainEqual(expect.objectContaining({ ...name, events: 1, lagRevisions: 0 }));
  expect(resumed.messages[0]).toMatchObject(name);
  expect(resumed.messages[0]?.downMs).toBeGreaterThan(0);
  const states = mirrors.messages.filter(({ prefix }) => prefix === "mirrored/");
  expect(states.map(({ status, size }) => `${status} ${size}`).slice(0, 5)).toEqual([
    "connecting 0",
    "live 0",
    "live 1",
    "stale 1",
    "live 1",
  ]);
  expect(new Set(states.map(({ id }) => id)).size).toBe(1);
  await until(() => detached.signal.aborted);
  expect(ended.messages).toContainEqual(expect.objectContaining({ leaseId: lease.id }));
  expect(ended.messages).toContainEqual(expect.objectContaining({ leaseId: detached.id, how: "expired" }));
  expect(dials.over.some(({ error }) => error !== undefined)).toBe(true);
  expect(dials.over.some(({ error }) => error === undefined)).toBe(true);
});

test("no message has a value in it", async () => {
  const secret = "s3cret-value";
  const texts: string[] = [];
  const hear = (message: unknown) => void texts.push(inspect(message, { depth: 8, showHidden: true }));
  const names = Object.values(channels).flatMap((channel) => channel.names);
  for (const name of names) subscribe(name, hear);
  try {
    await etcd.put("values/a", secret);
    await Promise.all(["b", "c"].map((id) => etcd.put(`values/${id}`, secret, { batch: true })));
    await outcomeOf(etcd.put("values/d", secret, { lease: "7777777777" as never }));
    await etcd.txn({ success: [putOp("values/e", secret)] });
    await using mirror = etcd.mirror(prefix("values/"));
    await mirror.ready;
    await etcd.put("values/f", secret);
    await until(() => mirror.size === 5);
  } finally {
    for (const name of names) unsubscribe(name, hear);
  }
  expect(texts.length).toBeGreaterThan(20);
  expect(texts.filter((text) => text.includes(secret))).toEqual([]);
});
