import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { JobLostError, type MirrorBatch, putOp } from "../../../recipes/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { givesBack, QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("an acknowledged job is gone for good, and saying it again is harmless", async () => {
  const queue = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue();
  expect(job).toMatchObject({ value: "v", attempt: 1 });
  await Promise.all([job.ack(), job.ack()]);
  await job.ack();
  expect(job.signal.aborted).toBe(false);
  expect(await etcdErrorOf(job.release())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await lab.besideWorkers()).toEqual({});
  expect(await queue.size()).toBe(0);
});

test("a released job is no longer this worker's, goes to where it stood, and counts its attempts", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["a", "b"]);
  const job = await queue.dequeue();
  await job.release();
  expect(job.signal.reason).toBeInstanceOf(JobLostError);
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await lab.claimed()).toEqual([]);
  expect(await queue.dequeue()).toMatchObject({ id: job.id, value: "a", attempt: 2 });
  expect(await queue.dequeue()).toMatchObject({ value: "b", attempt: 1 });
});

test("a job released with a delay stays away for so long", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["a", "b"]);
  const job = await queue.dequeue();
  const began = Date.now();
  expect(await etcdErrorOf(job.release({ delayMs: -1 }))).toMatchObject({ option: "delayMs" });
  await job.release({ delayMs: 1_500 });
  expect((await takeAll(queue, 1))[0]?.value).toBe("b");
  expect(await queue.dequeue()).toMatchObject({ value: "a", attempt: 2 });
  expect(Date.now() - began).toBeGreaterThanOrEqual(1_500);
});

test("a job that is held for longer than visibilitySeconds goes to another worker, and its own hears of it before", async () => {
  const queue = lab.queue({ visibilitySeconds: 0.4 });
  const other = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue();
  const again = other.dequeue();
  expect(job.signal.aborted).toBe(false);
  const { attempt } = await again;
  expect(attempt).toBe(2);
  expect(job.signal.aborted).toBe(true);
  expect(job.signal.reason).toMatchObject({ code: "ETCD_JOB_LOST", message: expect.stringContaining("time is over") });
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await queue.size()).toBe(1);
});

test("visibilitySeconds of the call goes before that of the queue", async () => {
  const queue = lab.queue({ visibilitySeconds: 60 });
  await queue.enqueue("v");
  const job = await queue.dequeue({ visibilitySeconds: 0.2 });
  await until(() => job.signal.aborted);
  expect(await queue.dequeue()).toMatchObject({ attempt: 2 });
});

test("the signal compares the clock when it is read: the first line after a busy loop knows", async () => {
  const queue = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue({ visibilitySeconds: 0.3 });
  const end = performance.now() + 350;
  while (performance.now() < end);
  expect(job.signal.aborted).toBe(true);
});

test("ack() compares the clock, too, and a signal that is first read after that is aborted", async () => {
  const queue = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue({ visibilitySeconds: 0.3 });
  const end = performance.now() + 350;
  while (performance.now() < end);
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(job.signal.aborted).toBe(true);
  expect(job.signal.reason).toMatchObject({ message: expect.stringContaining("time is over") });
});

test("a claim taken away by hand: the worker hears of it, and its ack changes nothing", async () => {
  const queue = lab.queue();
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  await lab.etcd.put(`${lab.name}/jobs/a`, '{"value":"v","attempt":1}');
  await until(() => job.signal.aborted);
  expect(job.signal.reason).toBeInstanceOf(JobLostError);
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await queue.dequeue()).toMatchObject({ id: "a", attempt: 2 });
});

test.each(["ack", "release"] as const)(
  "%s compares the claim: another claim of the same job is left alone",
  async (how) => {
    const queue = lab.queue();
    await queue.enqueue("v", { id: "a" });
    const job = await queue.dequeue();
    const other = await lab.etcd.grantLease(60);
    // In one moment, so that no worker hears of it before: as when a claim was lost and won by another worker.
    const lost = etcdErrorOf(
      lab.etcd
        .txn({
          success: [
            putOp(`${lab.name}/workers/${other.id}`, "", { lease: other }),
            putOp(`${lab.name}/jobs/a`, JSON.stringify({ value: "v", attempt: 2, holder: other.id })),
          ],
        })
        .then(() => job[how]()),
    );
    expect(await lost).toMatchObject({ code: "ETCD_JOB_LOST" });
    expect(await lab.claimed()).toEqual(["jobs/a"]);
    expect((await lab.etcd.get(`${lab.name}/jobs/a`))?.text).toContain(`"holder":"${other.id}"`);
    await other.revoke();
    expect(await queue.dequeue()).toMatchObject({ id: "a", attempt: 3 });
  },
);

test("a worker whose key is deleted by hand loses its jobs, and goes on under a new one", async () => {
  const queue = lab.queue({ ttlSeconds: 60 });
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  const worker = await lab.worker();
  await lab.etcd.delete(`${lab.name}/workers/${worker}`);
  await until(() => job.signal.aborted);
  expect(job.signal.reason).toBeInstanceOf(JobLostError);
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await queue.dequeue()).toMatchObject({ id: "a", attempt: 2 });
  expect(await lab.worker()).not.toBe(worker);
});

test("a job whose key is deleted while a worker has it is cancelled: the worker hears of it", async () => {
  const queue = lab.queue();
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  await lab.etcd.delete(`${lab.name}/jobs/a`);
  await until(() => job.signal.aborted);
  expect(await etcdErrorOf(job.ack())).toMatchObject({ code: "ETCD_JOB_LOST" });
  expect(await lab.besideWorkers()).toEqual({});
});

test("a claim that landed after its caller gave up is given back", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["mine", "late"]);
  await queue.dequeue();
  const [, late = ""] = await lab.keys("jobs");
  await lab.claimLate(late, await lab.worker());
  expect(await lab.claimed()).toHaveLength(2);
  await until(async () => (await lab.claimed()).length === 1);
  expect(await lab.queue().dequeue()).toMatchObject({ value: "late", attempt: 1 });
});

test("a job whose time is over loses its attempt, also when late claims are looked for before it is given back", async () => {
  const etcd = lab.lab.client();
  const send = etcd.txn.bind(etcd);
  const swept = deferred<void>();
  let isOver = false;
  etcd.txn = async (request, options) => {
    if (!isOver && givesBack(request)) {
      isOver = true;
      await swept.promise;
    }
    return send(request, options);
  };
  const queue = lab.queue({ client: etcd });
  for (const id of ["mine", "late"]) await queue.enqueue("v", { id });
  expect(await queue.dequeue({ visibilitySeconds: 0.1 })).toMatchObject({ id: "mine" });
  await until(() => isOver);
  await lab.claimLate("jobs/late", await lab.worker());
  expect(await lab.claimed()).toHaveLength(2);
  await until(async () => (await lab.claimed()).length === 1);
  swept.resolve();
  await until(async () => (await lab.claimed()).length === 0);
  expect(await lab.queue().dequeue()).toMatchObject({ id: "mine", attempt: 2 });
});

test("a waiting place that landed after its caller gave up is taken away", async () => {
  const queue = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue();
  const worker = await lab.worker();
  await lab.etcd.put(`${lab.name}/waiting/${worker}`, "", { lease: worker });
  await until(async () => (await lab.keys("waiting")).length === 0);
  expect(job.signal.aborted).toBe(false);
});

test("of two jobs given back the first one comes first, also when its answer overtakes the other's", async () => {
  const etcd = lab.lab.client();
  const send = etcd.txn.bind(etcd);
  const follow = etcd.mirror.bind(etcd);
  const late = deferred<void>();
  let releases = 0;
  /** What the mirror has come to; while there is `news`, it goes on by one batch when asked to. */
  let revision = 0;
  let news: (() => void)[] | undefined;
  etcd.txn = async (request, options) => {
    const first = givesBack(request) && ++releases === 1;
    const answer = await send(request, options);
    if (first) await late.promise;
    return answer;
  };
  etcd.mirror = (keys, options) => {
    const mirror = follow(keys, options);
    const read = mirror[Symbol.asyncIterator].bind(mirror);
    mirror[Symbol.asyncIterator] = async function* (): AsyncGenerator<MirrorBatch, undefined> {
      for await (const batch of { [Symbol.asyncIterator]: read }) {
        if (news) await new Promise<void>((resolve) => news?.push(resolve));
        revision = batch.revision;
        yield batch;
      }
      return undefined;
    };
    Object.defineProperty(mirror, "revision", { get: () => revision });
    return mirror;
  };
  const queue = lab.queue({ client: etcd });
  for (const id of ["a", "b"]) await queue.enqueue("v", { id });
  const [a, b] = [await queue.dequeue(), await queue.dequeue()];
  await until(async () => revision >= ((await lab.etcd.get(`${lab.name}/jobs/b`))?.modRevision ?? Infinity));
  news = [];
  const releasing = b.release();
  await until(async () => (await lab.claimed()).length === 1);
  await a.release();
  late.resolve();
  await releasing;
  const next = queue.dequeue();
  // The mirror reports b first.
  await until(() => news?.length === 1);
  news[0]?.();
  await until(() => news?.length === 2);
  news[1]?.();
  expect(await next).toMatchObject({ id: "a" });
  news = undefined;
});

test("size() counts what is ready, delayed or in hand", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["a", "b", "c"]);
  await queue.enqueue("d", { delayMs: 60_000 });
  await queue.dequeue();
  expect(await queue.size()).toBe(4);
  await takeAll(queue, 1);
  expect(await queue.size()).toBe(3);
});

test("an aborted ack rejects with the reason, and what was begun goes on", async () => {
  const queue = lab.queue();
  await queue.enqueue("v");
  const job = await queue.dequeue();
  const controller = new AbortController();
  const acking = job.ack({ signal: controller.signal });
  const reason = new Error("no time");
  controller.abort(reason);
  await expect(acking).rejects.toBe(reason);
  await until(async () => (await queue.size()) === 0);
});
