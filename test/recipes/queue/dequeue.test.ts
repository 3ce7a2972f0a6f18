import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, Queue } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { handledCalls } from "../../support/gateway/index.ts";
import { until } from "../../support/until.ts";
import { QueueLab } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const callsOf = () => handledCalls(lab.lab.endpoint);

/** Queues with one worker each that waits. */
async function waitingWorkers(count: number) {
  const queues = Array.from({ length: count }, () => lab.queue());
  const jobs = queues.map((queue) => queue.dequeue());
  for (const job of jobs) job.catch(() => {});
  await until(async () => (await lab.keys("waiting")).length === count);
  return { queues, jobs };
}

test("several dequeues of one queue get a job each", async () => {
  const queue = lab.queue();
  const early = Array.from({ length: 10 }, () => queue.dequeue());
  await queue.enqueueMany(Array.from({ length: 20 }, (_, index) => `job ${index}`));
  const late = Array.from({ length: 10 }, () => queue.dequeue());
  const values = (await Promise.all([...early, ...late])).map(({ value }) => value);
  expect(new Set(values).size).toBe(20);
  expect(await queue.size()).toBe(20);
  expect(await lab.claimed()).toHaveLength(20);
});

test("no two workers get the same job, however many run for it, and each job is handed out once", async () => {
  const workers = Array.from({ length: 6 }, () => lab.queue());
  const values = Array.from({ length: 200 }, (_, index) => `job ${index}`);
  await lab.queue().enqueueMany(values);
  const taken: string[] = [];
  const end = new AbortController();
  const work = async (queue: Queue) => {
    while (taken.length < values.length) {
      const job = await queue.dequeue({ signal: end.signal });
      taken.push(job.value);
      if (taken.length === values.length) end.abort();
      await job.ack();
    }
  };
  const working = workers.flatMap((queue) => [work(queue), work(queue)]).map((work) => work.catch((error) => error));
  for (const error of await Promise.all(working)) if (error !== end.signal.reason) expect(error).toBeUndefined();
  expect(taken).toHaveLength(values.length);
  expect(new Set(taken).size).toBe(values.length);
  expect(await lab.keys("jobs")).toEqual([]);
});

test("all jobs of a worker are on one lease, and so is its place while it waits", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(["a", "b", "c"]);
  await Promise.all([queue.dequeue(), queue.dequeue(), queue.dequeue()]);
  const waiting = queue.dequeue().catch(() => {});
  await until(async () => (await lab.keys("waiting")).length === 1);
  const { kvs: all } = await lab.etcd.range(prefix(`${lab.name}/`));
  const kvs = all.filter(({ key }) => !key.startsWith(`${lab.name}/jobs/`));
  const worker = await lab.worker();
  expect(kvs.map(({ key }) => key.slice(lab.name.length + 1))).toEqual([`waiting/${worker}`, `workers/${worker}`]);
  expect(kvs.map(({ lease }) => lease)).toEqual([worker, worker]);
  const holders = Object.values(await lab.besideWorkers()).filter((text) => text.includes(`"holder":"${worker}"`));
  expect(holders).toHaveLength(3);
  await queue.close();
  await waiting;
});

test("a worker that waits asks etcd for nothing, and is there at once when a job comes", async () => {
  const { queues, jobs } = await waitingWorkers(1);
  const before = await callsOf();
  const end = performance.now() + 1_500;
  await until(() => performance.now() > end);
  expect(await callsOf()).toEqual(before);
  const added = performance.now();
  await queues[0]?.enqueue("v");
  expect((await jobs[0])?.value).toBe("v");
  expect(performance.now() - added).toBeLessThan(1_000);
  const after = await callsOf();
  // One txn added it and one claimed it; the claim took the place away, too.
  expect((after.Txn ?? 0) - (before.Txn ?? 0)).toBe(2);
  expect(await lab.keys("waiting")).toEqual([]);
});

test("of eight workers that wait, the one whose turn it is claims the job, and the others try nothing", async () => {
  const { jobs } = await waitingWorkers(8);
  const producer = lab.queue();
  let won = 0;
  for (const job of jobs) void job.then(() => won++).catch(() => {});
  const before = await callsOf();
  for (let round = 1; round <= 5; round++) {
    await producer.enqueue(`job ${round}`);
    await until(() => won === round);
  }
  const end = performance.now() + 600;
  await until(() => performance.now() > end);
  const after = await callsOf();
  // Two a job, and now and then one more where a worker thought its turn had passed; a herd makes nine.
  expect((after.Txn ?? 0) - (before.Txn ?? 0)).toBeLessThanOrEqual(20);
});

test("a job whose turn is that of a frozen worker is taken by another one in a moment", async () => {
  const frozen = lab.run(`
    import { Queue } from "etcd-recipes";
    const queue = new Queue(process.env.QUEUE, { ttlSeconds: 60 });
    await queue.dequeue();
    console.log("got it");`);
  await until(async () => (await lab.keys("waiting")).length === 1, { message: () => frozen.errors.join("\n") });
  frozen.kill("SIGSTOP");
  const queue = lab.queue();
  const job = queue.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 2);
  const added = performance.now();
  await queue.enqueue("v");
  expect((await job).value).toBe("v");
  expect(performance.now() - added).toBeLessThan(5_000);
  expect(performance.now() - added).toBeGreaterThan(200);
});

test("an aborted dequeue leaves nothing behind, and takes nothing", async () => {
  const queue = lab.queue();
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = [queue.dequeue({ signal: controller.signal }), queue.dequeue({ signal: controller.signal })];
  await until(async () => (await lab.keys("waiting")).length === 1);
  controller.abort(reason);
  for (const call of waiting) await expect(call).rejects.toBe(reason);
  await until(async () => Object.keys(await lab.view()).length === 0);
  await queue.enqueue("v");
  const other = lab.queue();
  expect(await other.dequeue()).toMatchObject({ value: "v", attempt: 1 });
});

test("a claim that was won for a dequeue that was aborted meanwhile is undone, and counts as no attempt", async () => {
  await using proxy = await FaultProxy.start(lab.lab.endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const queue = lab.queue({ client: etcd });
  const controller = new AbortController();
  const waiting = queue.dequeue({ signal: controller.signal });
  await until(async () => (await lab.keys("waiting")).length === 1);
  const send = etcd.txn.bind(etcd);
  etcd.txn = (request, options) => {
    proxy.blackHole("toClient");
    return send(request, options);
  };
  await lab.queue().enqueue("v", { id: "a" });
  await until(async () => (await lab.claimed()).length === 1);
  controller.abort();
  await expect(waiting).rejects.toBe(controller.signal.reason);
  etcd.txn = send;
  await proxy.heal();
  await until(async () => (await lab.claimed()).length === 0);
  const view = await lab.besideWorkers();
  expect(Object.keys(view)).toEqual(["jobs/a"]);
  expect(JSON.parse(view["jobs/a"] ?? "")).toEqual({ value: "v", attempt: 0, token: expect.any(String) });
  expect(await lab.queue().dequeue()).toMatchObject({ id: "a", attempt: 1 });
});

test("aborted at any moment, a hundred times, it leaves no claim and no place, and every job is done once", async () => {
  const queue = lab.queue();
  const producer = lab.queue();
  const done: string[] = [];
  for (let round = 0; round < 100; round++) {
    const controller = new AbortController();
    const call = queue.dequeue({ signal: controller.signal });
    const adding = producer.enqueue(String(round));
    setTimeout(() => controller.abort(), round % 8);
    const job = await call.catch(() => undefined);
    await job?.ack();
    if (job) done.push(job.value);
    await adding;
  }
  while (done.length < 100) {
    const job = await queue.dequeue();
    await job.ack();
    done.push(job.value);
  }
  expect(new Set(done).size).toBe(100);
  await until(async () => Object.keys(await lab.besideWorkers()).length === 0, { message: "nothing is left" });
});

test("a queue that only adds holds nothing: a program that does nothing else ends by itself", async () => {
  const program = lab.run(`
    import { Queue } from "etcd-recipes";
    const queue = new Queue(process.env.QUEUE);
    console.log((await queue.enqueue("v", { id: "a" })).added, await queue.size());`);
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["true 1"]);
});

test("a queue on client options of its own works, and closes the client", async () => {
  const queue = new Queue(lab.name, { client: { endpoints: lab.lab.endpoint } });
  await queue.enqueue("v");
  expect((await queue.dequeue()).value).toBe("v");
  await queue.close();
  expect(await lab.claimed()).toEqual([]);
  expect(await lab.keys("jobs")).toHaveLength(1);
});
