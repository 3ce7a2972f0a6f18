import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Queue } from "../../../recipes/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { handledCalls } from "../../support/gateway/index.ts";
import { until } from "../../support/until.ts";
import { claims, givesBack, QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const values = (count: number) => Array.from({ length: count }, (_, index) => String(index));

/** A worker that has asked for the next job right after an ack, and has acknowledged another one since. */
async function eagerWorker(): Promise<Queue> {
  const queue = lab.queue();
  await queue.enqueueMany(values(10));
  const taken = await takeAll(queue, 3);
  expect(taken.map(({ value }) => value)).toEqual(["0", "1", "2"]);
  return queue;
}

test("the next job is claimed in the txn of the ack before it: one txn for each job, in order", async () => {
  const queue = lab.queue();
  await queue.enqueueMany(values(40));
  await takeAll(queue, 2);
  const before = (await handledCalls(lab.lab.endpoint)).Txn ?? 0;
  const jobs = await takeAll(queue, 30);
  const after = (await handledCalls(lab.lab.endpoint)).Txn ?? 0;
  expect(jobs.map(({ value }) => value)).toEqual(values(40).slice(2, 32));
  // Now and then the view is behind, or no worker asked in time on a busy machine; each by itself makes two.
  expect(after - before).toBeLessThan(45);
});

test("what was claimed ahead and is not asked for goes back, with no attempt counted", async () => {
  await eagerWorker();
  await until(async () => (await lab.claimed()).length === 0);
  // On a client of its own, whose view is as new as that.
  const other = lab.queue({ client: lab.lab.client() });
  expect(await other.dequeue()).toMatchObject({ value: "3", attempt: 1 });
  expect(await other.dequeue()).toMatchObject({ value: "4", attempt: 1 });
});

test("a worker that asks while its job goes back gets that job, and not the one behind it", async () => {
  const etcd = lab.lab.client();
  const send = etcd.txn.bind(etcd);
  const held = deferred<void>();
  let goesBack = false;
  etcd.txn = async (request, options) => {
    if (givesBack(request)) {
      goesBack = true;
      await held.promise;
    }
    return send(request, options);
  };
  const queue = lab.queue({ client: etcd });
  await queue.enqueueMany(values(10));
  await takeAll(queue, 3);
  await until(() => goesBack);
  const next = queue.dequeue();
  // So long the view and the other jobs are there to be taken.
  await Promise.race([next, sleep(300)]);
  held.resolve();
  expect(await next).toMatchObject({ value: "3", attempt: 1 });
  expect(await queue.dequeue()).toMatchObject({ value: "4", attempt: 1 });
});

test("a job that is given back comes before one that was claimed ahead", async () => {
  const etcd = lab.lab.client();
  const send = etcd.txn.bind(etcd);
  const held = deferred<void>();
  let holds = false;
  etcd.txn = async (request, options) => {
    const waits = holds && claims(request);
    const answer = await send(request, options);
    if (waits) await held.promise;
    return answer;
  };
  const queue = lab.queue({ client: etcd });
  await queue.enqueueMany(values(10));
  await takeAll(queue, 2);
  const [a, b] = [await queue.dequeue(), await queue.dequeue()];
  holds = true;
  await a.ack();
  await until(async () => (await lab.claimed()).length === 2);
  await b.release();
  const next = queue.dequeue();
  holds = false;
  held.resolve();
  expect(await next).toMatchObject({ value: b.value, attempt: 2 });
  expect(await queue.dequeue()).toMatchObject({ value: "4", attempt: 1 });
});

test("close() gives back what was claimed ahead, with no attempt counted", async () => {
  const queue = await eagerWorker();
  await queue.close();
  const view = await lab.view();
  expect(Object.keys(view).filter((key) => !key.startsWith("jobs/"))).toEqual([]);
  expect(Object.values(view).map((text) => JSON.parse(text).holder)).toEqual(values(7).map(() => undefined));
  expect(Object.values(view).map((text) => JSON.parse(text).attempt)).toEqual(values(7).map(() => 0));
});
