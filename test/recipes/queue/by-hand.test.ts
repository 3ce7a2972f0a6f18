import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { systemClock } from "../../../src/internal/index.ts";
import { until } from "../../support/until.ts";
import { QueueLab } from "./queue-lab.ts";

// What operators do with etcdctl, and what a clock that jumps does.

let lab: QueueLab;
beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test.each(["ack", "release", "bury"])(
  "%s of a job that was deleted leaves a new one of the same id alone",
  async (how) => {
    const queue = lab.queue(how === "bury" ? { maxAttempts: 1 } : {});
    await queue.enqueue("old", { id: "a" });
    const job = await queue.dequeue();
    await lab.etcd.delete(`${lab.name}/jobs/a`);
    expect(await queue.enqueue("new", { id: "a" })).toMatchObject({ added: true });
    const ended = how === "ack" ? job.ack() : job.release();
    await expect(ended).rejects.toMatchObject({ code: "ETCD_JOB_LOST" });
    const next = await queue.dequeue({ signal: AbortSignal.timeout(5_000) });
    expect(next).toMatchObject({ id: "a", value: "new", attempt: 1 });
    expect(await queue.deadLetters()).toEqual([]);
  },
);

test("a worker whose key is put again by hand, on no lease, goes on under a new one, and its jobs are free", async () => {
  const queue = lab.queue({ ttlSeconds: 60 });
  const warnings: Error[] = [];
  queue.on("warning", (error) => warnings.push(error));
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  const key = `${lab.name}/workers/${await lab.worker()}`;
  await lab.etcd.put(key, "by hand");
  await until(() => job.signal.aborted);
  expect(job.signal.reason).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(warnings[0]).toMatchObject({ code: "ETCD_INVALID_VALUE", message: expect.stringContaining(key) });
  expect(await queue.dequeue()).toMatchObject({ id: "a", attempt: 2 });
});

test("a job that is put again by hand in its worker's name is lost to it, and goes back", async () => {
  const queue = lab.queue();
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  await lab.claimLate("jobs/a", await lab.worker());
  await until(() => job.signal.aborted);
  // It was handed out: the attempts are those that the hand has written.
  expect(await queue.dequeue()).toMatchObject({ id: "a", attempt: 3 });
});

test("a job that was lost while the machine slept stays lost here, and goes back", async () => {
  const queue = lab.queue({ ttlSeconds: 60 });
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  const other = lab.queue();
  const slept = vi.spyOn(systemClock, "elapsedMs").mockImplementation(() => performance.now() + 61_000);
  try {
    await expect(job.ack()).rejects.toMatchObject({ code: "ETCD_JOB_LOST" });
    expect(job.signal.aborted).toBe(true);
  } finally {
    slept.mockRestore();
  }
  const next = await other.dequeue({ signal: AbortSignal.timeout(10_000) });
  expect(next).toMatchObject({ id: "a", attempt: 2 });
  expect(job.signal.aborted).toBe(true);
});

test("a waiting place that is put again on no lease takes no turn", async () => {
  const lease = await lab.etcd.grantLease(60);
  const place = `${lab.name}/waiting/${lease.id}`;
  await lab.etcd.put(place, "", { lease });
  const queue = lab.queue();
  await queue.enqueue("v");
  await (await queue.dequeue()).ack();
  await lab.etcd.put(place, "");
  await lab.etcd.delete(place);
  const took: number[] = [];
  for (let i = 0; i < 5; i++) {
    const job = queue.dequeue();
    await until(async () => (await lab.keys("waiting")).length === 1);
    const began = performance.now();
    await queue.enqueue("v");
    await (await job).ack();
    took.push(performance.now() - began);
  }
  // Others leave the turn of a worker to it for 250 ms at least.
  expect(Math.min(...took)).toBeLessThan(250);
  await lease.revoke();
});
