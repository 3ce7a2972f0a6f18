import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { QueueLab } from "./queue-lab.ts";

let lab: QueueLab;
beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("values that become longer when they are written are counted as they are written", async () => {
  const queue = lab.queue();
  await queue.enqueueMany([1, 2].map(() => '"'.repeat(480_000)));
  expect(await queue.size()).toBe(2);
});

test("a job that fits into etcd, and with a claim does not, is told and left; those behind it are taken", async () => {
  const queue = lab.queue();
  const failed: Error[] = [];
  const warnings: Error[] = [];
  queue.on("failed", (error) => failed.push(error));
  queue.on("warning", (error) => warnings.push(error));
  let fits = 1_500_000;
  let tooLarge = 1_600_000;
  while (tooLarge - fits > 1) {
    const middle = (fits + tooLarge) >> 1;
    try {
      const { id } = await queue.enqueue("x".repeat(middle));
      fits = middle;
      await lab.etcd.delete(`${lab.name}/jobs/${id}`);
    } catch {
      tooLarge = middle;
    }
  }
  await queue.enqueue("x".repeat(fits));
  await queue.enqueue("small");
  const job = await queue.dequeue();
  expect(job.value).toBe("small");
  expect(failed).toEqual([]);
  expect(warnings).toMatchObject([{ code: "ETCD_REQUEST_REFUSED" }]);
});
