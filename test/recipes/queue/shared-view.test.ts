import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Metrics } from "../../support/gateway/index.ts";
import { until } from "../../support/until.ts";
import { QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const events = async () => (await Metrics.read(lab.lab.endpoint)).value("etcd_debugging_mvcc_events_total");

test("all queues of a client watch once: etcd sends each change to them once, and each job is done once", async () => {
  const client = lab.lab.client();
  const queues = Array.from({ length: 10 }, () => lab.queue({ client }));
  const jobs = 200;
  await queues[0]?.enqueueMany(Array.from({ length: jobs }, (_, index) => String(index)));
  const before = await events();
  const done: string[] = [];
  const working = queues.map(async (queue) => {
    for (const job of await takeAll(queue, jobs / queues.length)) done.push(job.value);
  });
  await Promise.all(working);
  expect(new Set(done).size).toBe(jobs);
  await until(async () => (await lab.keys("claims")).length === 0);
  // Four for each job: claimed, its attempt raised, claim and job deleted. And some for who finds no more jobs at the
  // end. A watch for each queue makes forty.
  expect((await events()) - before).toBeLessThan(jobs * 8);
});

test("it ends with its last worker, and the next one begins anew", async () => {
  const client = lab.lab.client();
  const follow = client.mirror.bind(client);
  let mirrors = 0;
  client.mirror = (keys, options) => {
    mirrors++;
    return follow(keys, options);
  };
  const [one, other] = [lab.queue({ client }), lab.queue({ client })];
  await one.enqueueMany(["a", "b", "c"]);
  await takeAll(one, 1);
  await takeAll(other, 1);
  expect(mirrors).toBe(1);
  await one.close();
  const waiting = other.dequeue();
  await (await waiting).ack();
  await other.enqueue("d");
  await takeAll(other, 1);
  expect(mirrors).toBe(1);
  await other.close();
  const third = lab.queue({ client });
  await third.enqueue("e");
  expect((await takeAll(third, 1))[0]?.value).toBe("e");
  expect(mirrors).toBe(2);
});

test("of the workers of one client that wait, the one that waits longest gets the next job", async () => {
  const queues = Array.from({ length: 4 }, () => lab.queue());
  const got: number[] = [];
  for (const [index, queue] of [...queues.entries()].reverse()) {
    void queue.dequeue().then(
      () => got.push(index),
      () => {},
    );
    await until(async () => (await lab.keys("waiting")).length === queues.length - index);
  }
  for (let count = 1; count <= queues.length; count++) {
    await queues[0]?.enqueue("v");
    await until(() => got.length === count);
  }
  expect(got).toEqual([3, 2, 1, 0]);
});

test("what one of them gives up another one takes, without waiting for a change", async () => {
  const client = lab.lab.client();
  const send = client.txn.bind(client);
  const [one, other] = [lab.queue({ client }), lab.queue({ client })];
  await other.enqueue("warm");
  await takeAll(other, 1);
  let lost = 0;
  client.txn = async (request, options) => {
    if (lost === 0 && request.compare?.some(({ target }) => target === "modRevision")) {
      lost++;
      throw new RangeError("given up");
    }
    return send(request, options);
  };
  const end = new AbortController();
  const first = one.dequeue({ signal: end.signal }).catch(() => undefined);
  await until(async () => (await lab.keys("waiting")).length === 1);
  const second = other.dequeue();
  await until(async () => (await lab.keys("waiting")).length === 2);
  one.on("warning", () => end.abort());
  await lab.queue().enqueue("v");
  expect((await second).value).toBe("v");
  expect(lost).toBe(1);
  expect(await first).toBeUndefined();
});
