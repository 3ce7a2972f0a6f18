import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EtcdClient, JobLostError, LeaseLostError } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { revokeLease } from "../../support/gateway/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function behindProxy(ttlSeconds: number) {
  const proxy = await FaultProxy.start(lab.lab.endpoint);
  lab.lab.also(() => proxy.close());
  const etcd = new EtcdClient({ endpoints: proxy.endpoint });
  lab.lab.also(() => etcd.close());
  return { proxy, queue: lab.queue({ client: etcd, ttlSeconds }) };
}

for (const direction of ["toServer", "toClient"] as const) {
  test(`an ack whose link is a black hole (${direction}) succeeds when it heals within the lease`, async () => {
    const { proxy, queue } = await behindProxy(20);
    await queue.enqueue("v");
    const job = await queue.dequeue();
    proxy.blackHole(direction);
    const acking = job.ack();
    const end = performance.now() + 3_000;
    await until(() => performance.now() > end);
    if (direction === "toClient") expect(await lab.keys("jobs")).toEqual([]);
    await proxy.heal();
    await acking;
    expect(job.signal.aborted).toBe(false);
    expect(await lab.besideWorkers()).toEqual({});
  });
}

test("a claim whose answer was lost is found again: the job is handed out under that very claim", async () => {
  const { proxy, queue } = await behindProxy(20);
  const waiting = queue.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 1);
  proxy.delay(200);
  await lab.queue().enqueue("v", { id: "a" });
  await until(async () => (await lab.claimed()).length === 1);
  const claim = await lab.etcd.get(`${lab.name}/jobs/a`);
  proxy.cut();
  await proxy.heal();
  expect(await waiting).toMatchObject({ id: "a", attempt: 1 });
  expect((await lab.etcd.get(`${lab.name}/jobs/a`))?.modRevision).toBe(claim?.modRevision);
});

test("an ack that was done, and whose job was added anew under its id before the answer came, is an ack", async () => {
  const { proxy, queue } = await behindProxy(20);
  await queue.enqueue("1", { id: "a" });
  const job = await queue.dequeue();
  proxy.blackHole("toClient");
  const acking = job.ack();
  await until(async () => (await lab.keys("jobs")).length === 0);
  await lab.queue().enqueue("2", { id: "a" });
  proxy.cut();
  await proxy.heal();
  await acking;
  expect(await lab.queue().dequeue()).toMatchObject({ id: "a", value: "2", attempt: 1 });
});

test("an ack that etcd does not hear of before the lease ends is a lost job whose outcome is unknown", async () => {
  const { proxy, queue } = await behindProxy(2);
  await queue.enqueue("v");
  const job = await queue.dequeue();
  proxy.blackHole();
  const error = await etcdErrorOf(job.ack());
  expect(error).toMatchObject({ code: "ETCD_JOB_LOST", outcomeUnknown: true });
  expect(job.signal.aborted).toBe(true);
  expect(await lab.queue().dequeue()).toMatchObject({ value: "v", attempt: 2 });
  await proxy.heal();
});

test("a worker cut off for longer than its lease loses its jobs by its own clock, and goes on with a new lease", async () => {
  const { proxy, queue } = await behindProxy(2);
  await queue.enqueueMany(["a", "b"]);
  const jobs = [await queue.dequeue(), await queue.dequeue()];
  const received = jobs.map(({ signal }) => once(signal, "abort"));
  await proxy.down();
  await Promise.all(received);
  for (const { signal } of jobs) {
    expect(signal.reason).toBeInstanceOf(JobLostError);
    expect(signal.reason.cause).toBeInstanceOf(LeaseLostError);
  }
  const again = queue.dequeue();
  await proxy.heal();
  expect(await again).toMatchObject({ value: "a", attempt: 2 });
});

test("a lease revoked by hand: the job in hand is lost, and who waits gets the next one on a new lease", async () => {
  // No renewal shows it for the next 20 s.
  const queue = lab.queue({ ttlSeconds: 60 });
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  const waiting = queue.dequeue();
  const worker = await lab.worker();
  const began = performance.now();
  await revokeLease(lab.lab.endpoint, worker);
  expect(await waiting).toMatchObject({ id: "a", attempt: 2 });
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(job.signal.aborted).toBe(true);
  expect(await etcdErrorOf(job.ack())).toBeInstanceOf(JobLostError);
  expect(await lab.worker()).not.toBe(worker);
});

test("etcd killed and restarted while workers work: every job is done", async () => {
  const queue = lab.queue({ ttlSeconds: 30 });
  const other = lab.queue({ ttlSeconds: 30 });
  const values = Array.from({ length: 150 }, (_, index) => `job ${index}`);
  await queue.enqueueMany(values);
  const done = new Set<string>();
  const work = async (worker: typeof queue) => {
    while (done.size < values.length) {
      const job = await worker.dequeue({ signal: ended.signal });
      await job.ack();
      done.add(job.value);
    }
    ended.abort();
  };
  const ended = new AbortController();
  const working = [queue, other].map((worker) => work(worker).catch((error) => error));
  await until(() => done.size >= 30);
  await lab.lab.cluster.kill();
  await lab.lab.cluster.restart();
  await until(() => done.size === values.length, { timeoutMs: 40_000, message: () => `${done.size} are done` });
  await Promise.all(working);
  expect(await lab.keys("jobs")).toEqual([]);
});

test("who waits while etcd is killed and restarted, or is wiped, gets the next job", async () => {
  const queue = lab.queue({ ttlSeconds: 3 });
  const waiting = queue.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 1);
  await lab.lab.cluster.kill();
  await lab.lab.cluster.restart();
  const producer = lab.queue();
  await producer.enqueue("after the restart");
  const job = await waiting;
  expect(job.value).toBe("after the restart");

  const next = queue.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 1);
  await lab.lab.cluster.wipe();
  // All that was in the queue is gone; jobs in hand are reported lost.
  await until(() => job.signal.aborted, { timeoutMs: 20_000 });
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  await producer.enqueueMany(["after the wipe", "and another one"]);
  expect((await next).value).toBe("after the wipe");
  expect((await takeAll(queue, 1))[0]?.value).toBe("and another one");
});
