import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Queue } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const valuesOf = (jobs: readonly { value: string }[]) => jobs.map(({ value }) => value);

test("one worker gets the jobs in the order in which they were added, by whichever process and call", async () => {
  const one = lab.queue();
  const other = lab.queue();
  const values = Array.from({ length: 300 }, (_, index) => `many ${index}`);
  await one.enqueue("first");
  await other.enqueueMany(values);
  await one.enqueue("then");
  await other.enqueue("z comes before a", { id: "z" });
  await one.enqueue("and a after it", { id: "a" });
  const jobs = await takeAll(one, 304);
  expect(valuesOf(jobs)).toEqual(["first", ...values, "then", "z comes before a", "and a after it"]);
  expect(await one.size()).toBe(0);
});

test("enqueueMany answers with the ids, in order, also beyond one transaction and one megabyte", async () => {
  const queue = lab.queue();
  const big = "x".repeat(400_000);
  const ids = await queue.enqueueMany([...Array.from({ length: 126 }, (_, index) => `job ${index}`), big, big, big]);
  expect(await queue.size()).toBe(129);
  const jobs = await takeAll(queue, 129);
  expect(jobs.map(({ id }) => id)).toEqual(ids);
  expect(jobs.at(-1)?.value).toBe(big);
  expect(await queue.enqueueMany([])).toEqual([]);
});

test("any text is a value and comes back as it was", async () => {
  const queue = lab.queue();
  const values = ["", " ", "\0", "ümläut 🚀", '{"value":1}', "\ud800", "a\nb"];
  await queue.enqueueMany(values);
  expect(valuesOf(await takeAll(queue, values.length))).toEqual(values);
});

test("an id is there once, while the job or its dead letter is", async () => {
  const queue = lab.queue({ maxAttempts: 1 });
  expect(await queue.enqueue("1", { id: "build/a" })).toEqual({ id: "build/a", added: true });
  expect(await queue.enqueue("2", { id: "build/a" })).toEqual({ id: "build/a", added: false });
  const job = await queue.dequeue();
  expect(job).toMatchObject({ id: "build/a", value: "1", attempt: 1 });
  expect(await queue.enqueue("3", { id: "build/a" })).toMatchObject({ added: false });
  await job.release();
  expect(await queue.deadLetters()).toMatchObject([{ id: "build/a", value: "1", attempts: 1 }]);
  expect(await queue.enqueue("4", { id: "build/a" })).toMatchObject({ added: false });
  expect(await queue.size()).toBe(0);
  await queue.discard("build/a");
  expect(await queue.enqueue("5", { id: "build/a" })).toMatchObject({ added: true });
  expect(valuesOf(await takeAll(queue, 1))).toEqual(["5"]);
  expect(await queue.enqueue("6", { id: "build/a" })).toMatchObject({ added: true });
});

test("a delayed job comes when its time has come, and those behind it do not wait for it", async () => {
  const queue = lab.queue();
  const began = Date.now();
  await queue.enqueue("late", { delayMs: 1_500 });
  await queue.enqueue("later", { delayMs: 1_800 });
  await queue.enqueue("now");
  expect(await queue.size()).toBe(3);
  expect(valuesOf(await takeAll(queue, 1))).toEqual(["now"]);
  expect(Date.now() - began).toBeLessThan(1_500);
  const late = await queue.dequeue();
  expect(late.value).toBe("late");
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_500);
  expect((await queue.dequeue()).value).toBe("later");
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_800);
});

test("an enqueue whose answer was lost is repeated under the same id: the job is there once, and the caller gets its id", async () => {
  await using proxy = await FaultProxy.start(lab.lab.endpoint);
  await using queue = new Queue(lab.name, { client: { endpoints: proxy.endpoint } });
  await queue.enqueue("warm");
  proxy.blackHole("toClient");
  const calls = [queue.enqueue("a", { timeoutMs: 30_000 }), queue.enqueue("b", { id: "b", timeoutMs: 30_000 })];
  const many = queue.enqueueMany(["c", "d"], { timeoutMs: 30_000 });
  await until(async () => (await lab.keys("jobs")).length === 5);
  proxy.cut();
  await proxy.heal();
  expect(await Promise.all(calls)).toMatchObject([{ added: true }, { id: "b", added: true }]);
  expect(await many).toHaveLength(2);
  expect(await lab.keys("jobs")).toHaveLength(5);
});

test("an enqueue that etcd does not answer in the caller's time says that its outcome is unknown", async () => {
  await using proxy = await FaultProxy.start(lab.lab.endpoint);
  await using queue = new Queue(lab.name, { client: { endpoints: proxy.endpoint } });
  await queue.enqueue("warm");
  proxy.blackHole("toClient");
  const error = await etcdErrorOf(queue.enqueue("a", { timeoutMs: 500 }));
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true });
  await expect(queue.enqueue("b", { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
    name: "TimeoutError",
  });
});
