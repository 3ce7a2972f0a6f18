import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { until } from "../../support/until.ts";
import { QueueLab } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("the jobs of a worker that was killed come back when its lease ends, with their attempt counted", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["a", "b", "c"]);
  const worker = lab.run(`
    import { Queue } from "etcd-recipes";
    const queue = new Queue(process.env.QUEUE, { ttlSeconds: 1 });
    await queue.dequeue();
    await queue.dequeue();
    console.log("holds two");`);
  await until(() => worker.lines.includes("holds two"), { message: () => worker.errors.join("\n") });
  worker.kill("SIGKILL");
  await worker.ended;
  const jobs = [await queue.dequeue(), await queue.dequeue(), await queue.dequeue()];
  expect(jobs.map(({ value, attempt }) => [value, attempt]).sort()).toEqual([
    ["a", 2],
    ["b", 2],
    ["c", 1],
  ]);
  // The unclaimed one comes first: the others come back to where they stood, but later.
  expect(jobs[0]?.value).toBe("c");
  expect(jobs.slice(1).map(({ value }) => value)).toEqual(["a", "b"]);
});

test("a worker that was frozen for longer than its lease knows at once, and its ack is refused", async () => {
  const worker = lab.run(`
    import { Queue } from "etcd-recipes";
    import { setImmediate as nextTurn } from "node:timers/promises";
    const queue = new Queue(process.env.QUEUE, { ttlSeconds: 2 });
    const job = await queue.dequeue();
    // Before it says so: it may be stopped right after.
    let before = performance.now();
    console.log("holds it");
    function work() {
      const end = performance.now() + 50;
      for (;;) {
        const now = performance.now();
        const stopped = now - before > 1_000;
        before = now;
        if (stopped || now > end) return stopped;
      }
    }
    while (!work()) await nextTurn();
    console.log("aborted", job.signal.aborted, job.signal.reason?.code, job.signal.reason?.cause?.code);
    await job.ack().then(() => console.log("acknowledged"), (error) => console.log("ack", error.code));
    process.exit();`);
  const queue = lab.queue({ ttlSeconds: 2 });
  await queue.enqueue("v");
  await until(() => worker.lines.includes("holds it"), { message: () => worker.errors.join("\n") });
  worker.kill("SIGSTOP");
  const job = await queue.dequeue();
  expect(job).toMatchObject({ value: "v", attempt: 2 });
  worker.kill("SIGCONT");
  expect(await worker.ended).toBe(0);
  expect(worker.lines).toEqual(["holds it", "aborted true ETCD_JOB_LOST ETCD_LEASE_LOST", "ack ETCD_JOB_LOST"]);
  expect(job.signal.aborted).toBe(false);
  await job.ack();
  expect(await lab.keys("jobs")).toEqual([]);
});

test("a worker whose jobs no other took while it was frozen is refused all the same", async () => {
  const worker = lab.run(`
    import { Queue } from "etcd-recipes";
    const queue = new Queue(process.env.QUEUE, { ttlSeconds: 2 });
    const job = await queue.dequeue();
    process.once("SIGUSR2", () => {
      job.ack().then(() => console.log("acknowledged"), (error) => console.log("ack", error.code)).then(() => process.exit());
    });
    console.log("holds it");`);
  const queue = lab.queue();
  await queue.enqueue("v");
  await until(() => worker.lines.includes("holds it"), { message: () => worker.errors.join("\n") });
  worker.kill("SIGSTOP");
  await until(async () => (await lab.claimed()).length === 0);
  worker.kill("SIGUSR2");
  worker.kill("SIGCONT");
  expect(await worker.ended).toBe(0);
  expect(worker.lines.at(-1)).toBe("ack ETCD_JOB_LOST");
  expect(await queue.dequeue()).toMatchObject({ attempt: 2 });
});
