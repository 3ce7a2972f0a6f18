import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EtcdClient, Queue } from "../../../recipes/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { QueueLab } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const closed = { code: "ETCD_CLOSED" };

test("a queue that did nothing is closed, twice, and does nothing any more", async () => {
  const queue = lab.queue();
  await Promise.all([queue.close(), queue.close()]);
  for (const call of [
    () => queue.dequeue(),
    () => queue.enqueue("v"),
    () => queue.enqueueMany(["v"]),
    () => queue.size(),
    () => queue.deadLetters(),
    () => queue.putBack("a"),
    () => queue.discard("a"),
  ]) {
    expect(await etcdErrorOf(call())).toMatchObject(closed);
  }
});

test("to close it is nothing to be warned of", async () => {
  const queue = lab.queue();
  const warnings: string[] = [];
  queue.on("warning", ({ message }) => warnings.push(message));
  await queue.enqueue("v");
  await queue.dequeue();
  const waiting = etcdErrorOf(queue.dequeue());
  await queue.close();
  expect(await waiting).toMatchObject(closed);
  expect(warnings).toEqual([]);
});

test("closed at once after dequeue(), while it waits, while it claims: the call rejects, and no key and no lease is left", async () => {
  for (let round = 0; round < 12; round++) {
    const queue = lab.queue();
    const calls = [queue.dequeue(), queue.dequeue()].map((call) => call.catch((error) => error));
    if (round % 3 === 1) await until(async () => (await lab.keys("waiting")).length === 1);
    if (round % 3 === 2) await lab.queue().enqueue("v", { id: "a" });
    await queue.close();
    for (const result of await Promise.all(calls)) {
      if (!("ack" in result)) expect(result).toMatchObject(closed);
    }
    await until(async () => (await lab.claimed()).length + (await lab.keys("waiting")).length === 0);
    await until(async () => (await leasesOf(lab.lab.endpoint)).length === 0);
  }
});

test("closed while it claims: a job that no worker received has lost no attempt", async () => {
  const etcd = lab.lab.client();
  const send = etcd.txn.bind(etcd);
  const claimed = deferred<void>();
  const answered = deferred<void>();
  etcd.txn = async (request, options) => {
    const answer = await send(request, options);
    if ((await lab.claimed()).length === 1) {
      claimed.resolve();
      await answered.promise;
    }
    return answer;
  };
  const queue = lab.queue({ client: etcd });
  const call = etcdErrorOf(queue.dequeue());
  await lab.queue().enqueue("v");
  await claimed.promise;
  const closing = queue.close();
  expect(await call).toMatchObject(closed);
  answered.resolve();
  await closing;
  expect(await lab.claimed()).toEqual([]);
  expect(await lab.queue().dequeue()).toMatchObject({ value: "v", attempt: 1 });
});

test("jobs in hand go back at once, and are lost to their worker", async () => {
  const queue = lab.queue({ ttlSeconds: 60 });
  await queue.enqueueMany(["a", "b"]);
  const job = await queue.dequeue();
  const waiting = lab.queue();
  await queue.close();
  expect(job.signal.reason).toMatchObject({ code: "ETCD_JOB_LOST", message: expect.stringContaining("closed") });
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await waiting.dequeue()).toMatchObject({ value: "a", attempt: 2 });
});

test("an ack under way is waited for", async () => {
  const queue = lab.queue();
  await queue.enqueue("a");
  const job = await queue.dequeue();
  const acking = job.ack();
  await queue.close();
  await acking;
  expect(await lab.view()).toEqual({});
});

test("close() is bounded while etcd is out of reach", async () => {
  await using proxy = await FaultProxy.start(lab.lab.endpoint);
  const etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const queue = new Queue(lab.name, { client: etcd, ttlSeconds: 2 });
  await queue.enqueue("a");
  const job = await queue.dequeue();
  const waiting = etcdErrorOf(queue.dequeue());
  proxy.blackHole();
  const acking = job.ack().catch((error) => error);
  const began = performance.now();
  await queue.close();
  expect(performance.now() - began).toBeLessThan(3_500);
  expect(await waiting).toMatchObject(closed);
  expect(await acking).toMatchObject({ code: "ETCD_JOB_LOST" });
  await etcd.close();
  expect(await lab.queue().dequeue()).toMatchObject({ value: "a", attempt: 2 });
});

test("a client that is closed under it fails the queue: waiting calls reject, jobs in hand are lost", async () => {
  const etcd = new EtcdClient({ endpoints: lab.lab.endpoint });
  const queue = new Queue(lab.name, { client: etcd });
  const failures: Error[] = [];
  queue.on("failed", (error) => failures.push(error));
  await queue.enqueue("a");
  const job = await queue.dequeue();
  const waiting = etcdErrorOf(queue.dequeue());
  await etcd.close();
  expect(await waiting).toMatchObject(closed);
  await until(() => failures.length === 1);
  expect(failures[0]).toMatchObject(closed);
  expect(job.signal.aborted).toBe(true);
  expect(await etcdErrorOf(queue.dequeue())).toMatchObject(closed);
  await queue.close();
});

test("a program that worked ends by itself after close()", async () => {
  const program = lab.run(`
    import { Queue } from "etcd-recipes";
    const queue = new Queue(process.env.QUEUE);
    await queue.enqueueMany(["a", "b"]);
    const job = await queue.dequeue({ visibilitySeconds: 600 });
    await (await queue.dequeue()).ack();
    const waiting = queue.dequeue().catch((error) => console.log(error.code));
    await queue.close();
    await waiting;
    console.log(job.signal.aborted);`);
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["ETCD_CLOSED", "true"]);
  expect(program.errors).toEqual([]);
});

test("a job that is claimed for a call that close() ends costs it no attempt, also just after another was acknowledged", async () => {
  for (let round = 0; round < 10; round++) {
    const queue = lab.queue({ maxAttempts: 1 });
    await queue.enqueueMany(["first", "second"]);
    const first = await queue.dequeue();
    const acking = first.ack();
    // It has left, so the claim is answered after it.
    await setImmediate();
    const waiting = etcdErrorOf(queue.dequeue());
    const closing = queue.close();
    expect(await waiting).toMatchObject(closed);
    await acking.catch(() => {});
    await closing;
    const next = lab.queue({ maxAttempts: 1 });
    const left = await next.dequeue();
    expect(left).toMatchObject({ value: "second", attempt: 1 });
    await left.ack();
    await next.close();
  }
});
