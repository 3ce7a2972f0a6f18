import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { InvalidValueError } from "../../../recipes/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const noJobs = [
  "",
  "null",
  "[]",
  "{",
  '{"value":1,"attempt":0}',
  '{"value":"v"}',
  '{"value":"v","attempt":-1}',
  '{"value":"v","attempt":1.5}',
  '{"value":"v","attempt":1e400}',
  '{"value":"v","attempt":0,"notBefore":"soon"}',
  '{"value":"v","attempt":0,"notBefore":1e999}',
  "[".repeat(50_000),
];

test("each invalid job is reported once, and left alone; the jobs around it are done", async () => {
  const queue = lab.queue();
  const warnings: Error[] = [];
  queue.on("warning", (error) => warnings.push(error));
  await queue.enqueue("before");
  for (const [index, text] of noJobs.entries()) await lab.etcd.put(`${lab.name}/jobs/bad${index}`, text);
  await lab.etcd.put(`${lab.name}/jobs/bytes`, new Uint8Array([0xff, 0xfe, 0x00]));
  await queue.enqueue("after");
  expect((await takeAll(queue, 2)).map(({ value }) => value)).toEqual(["before", "after"]);
  expect(warnings.every((error) => error instanceof InvalidValueError)).toBe(true);
  expect(new Set(warnings.map(({ message }) => message.split(" ")[0])).size).toBe(noJobs.length + 1);
  expect(warnings).toHaveLength(noJobs.length + 1);
  expect(warnings.filter(({ message }) => message.length > 1_000)).toEqual([]);
  expect(await queue.size()).toBe(noJobs.length + 1);
});

test("a job that was no job, and is put right by hand, is done", async () => {
  const queue = lab.queue();
  await lab.etcd.put(`${lab.name}/jobs/a`, "garbage");
  const job = queue.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 1);
  await lab.etcd.put(`${lab.name}/jobs/a`, '{"value":"right","attempt":0,"future":{"field":1}}');
  expect((await job).value).toBe("right");
});

test("keys that are none of the queue's do not hurt it", async () => {
  const queue = lab.queue();
  const bad = Buffer.concat([Buffer.from(`${lab.name}/jobs/`), Buffer.from([0xff, 0xc0])]);
  await lab.etcd.put(bad, '{"value":"v","attempt":0}');
  for (const key of ["", "x", "jobs", "jobs/", "workers/", "waiting/", "other/room", "dead/"]) {
    await lab.etcd.put(`${lab.name}/${key}`, '{"value":"v","attempt":0}');
  }
  await queue.enqueue("v");
  expect((await takeAll(queue, 1))[0]?.value).toBe("v");
});

test("places that are no worker's own, or on no lease, take no turn", async () => {
  const lease = await lab.etcd.grantLease(60);
  await lab.etcd.put(`${lab.name}/waiting/nobody`, "");
  await lab.etcd.put(`${lab.name}/waiting/1234`, "{");
  await lab.etcd.put(`${lab.name}/waiting/5678`, "", { lease });
  const queue = lab.queue();
  const tookMs: number[] = [];
  for (let round = 0; round < 5; round++) {
    const job = queue.dequeue();
    await until(async () => (await lab.keys("waiting")).length === 4);
    const added = performance.now();
    await queue.enqueue("v");
    await (await job).ack();
    tookMs.push(performance.now() - added);
  }
  // Less than others wait for a worker whose turn it is.
  expect(Math.min(...tookMs)).toBeLessThan(250);
  await lease.revoke();
});

test("a worker's key that is not on the lease which it names holds no job, and is reported", async () => {
  const queue = lab.queue();
  const warnings: Error[] = [];
  queue.on("warning", (error) => warnings.push(error));
  const lease = await lab.etcd.grantLease(60);
  await lab.etcd.put(`${lab.name}/workers/1234`, "\0 by hand");
  await lab.etcd.put(`${lab.name}/workers/5678`, "", { lease });
  for (const holder of ["1234", "5678", 9, { id: 1 }, ""]) {
    const key = `${lab.name}/jobs/${JSON.stringify(holder)}`;
    await lab.etcd.put(key, '{"value":"first","attempt":0}');
    await lab.etcd.put(key, JSON.stringify({ value: "v", attempt: 1, holder }));
  }
  expect((await takeAll(queue, 5)).map(({ value, attempt }) => `${value} ${attempt}`)).toEqual(Array(5).fill("v 2"));
  const reported = warnings.map(({ message }) => message.split(" ")[0]);
  expect(reported).toEqual([`${lab.name}/workers/1234`, `${lab.name}/workers/5678`]);
  await lease.revoke();
});

test("an invalid dead letter is left out and reported, and can be discarded but not put back", async () => {
  const queue = lab.queue();
  const warnings: Error[] = [];
  queue.on("warning", (error) => warnings.push(error));
  await lab.etcd.put(`${lab.name}/dead/a`, "garbage");
  await lab.etcd.put(`${lab.name}/dead/b`, '{"value":"v","attempts":2,"diedAtMs":1}');
  expect(await queue.deadLetters()).toEqual([{ id: "b", value: "v", attempts: 2, diedAtMs: 1 }]);
  expect(warnings).toMatchObject([{ code: "ETCD_INVALID_VALUE" }]);
  expect(await etcdErrorOf(queue.putBack("a"))).toMatchObject({ code: "ETCD_INVALID_VALUE" });
  expect(await queue.discard("a")).toBe(true);
});

test("listeners that throw, or reject, hurt nothing", async () => {
  const queue = lab.queue({ maxAttempts: 1 });
  queue.on("dead", () => {
    throw new Error("thrown");
  });
  queue.on("dead", async () => {
    throw new Error("rejected");
  });
  const warnings: Error[] = [];
  queue.on("warning", (error) => warnings.push(error));
  await queue.enqueue("v");
  const job = await queue.dequeue();
  job.signal.addEventListener("abort", () => void queue.dequeue().catch(() => {}));
  await job.release();
  await until(() => warnings.length === 2);
  expect(warnings.every((error) => "code" in error && error.code === "ETCD_LISTENER_FAILED")).toBe(true);
  expect(await queue.deadLetters()).toHaveLength(1);
});
