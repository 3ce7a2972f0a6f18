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

test("a job too large to be claimed is reported and left; those behind it are taken", async () => {
  const queue = lab.queue();
  const failed: Error[] = [];
  const warnings: Error[] = [];
  queue.on("failed", (error) => failed.push(error));
  queue.on("warning", (error) => warnings.push(error));
  const put = (length: number) =>
    lab.etcd.put(`${lab.name}/jobs/a`, JSON.stringify({ value: "x".repeat(length), attempt: 0 }));
  let fits = 1_500_000;
  let tooLarge = 1_600_000;
  while (tooLarge - fits > 1) {
    const middle = (fits + tooLarge) >> 1;
    try {
      await put(middle);
      fits = middle;
    } catch {
      tooLarge = middle;
    }
  }
  await put(fits);
  await queue.enqueue("small");
  const job = await queue.dequeue();
  expect(job.value).toBe("small");
  expect(failed).toEqual([]);
  expect(warnings).toMatchObject([{ code: "ETCD_REQUEST_REFUSED" }]);
});
