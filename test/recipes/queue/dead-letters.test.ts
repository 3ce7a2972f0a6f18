import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { DeadLetter, Queue } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { QueueLab, takeAll } from "./queue-lab.ts";

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a job that was handed out maxAttempts times becomes a dead letter, and no worker gets it any more", async () => {
  const queue = lab.queue({ maxAttempts: 3 });
  const dead: DeadLetter[] = [];
  queue.on("dead", (letter) => dead.push(letter));
  await queue.enqueue("poison", { id: "a" });
  await queue.enqueue("good");
  for (const attempt of [1, 2, 3]) {
    const job = await queue.dequeue();
    expect(job).toMatchObject({ id: "a", attempt });
    await job.release();
  }
  const letters = await queue.deadLetters();
  expect(letters).toMatchObject([{ id: "a", value: "poison", attempts: 3, diedAtMs: expect.any(Number) }]);
  expect(dead).toEqual(letters);
  expect((await takeAll(queue, 1))[0]?.value).toBe("good");
  expect(await queue.size()).toBe(0);
  expect(await lab.claimed()).toEqual([]);
});

test("a job whose last worker died becomes a dead letter by the next that looks", async () => {
  const queue = lab.queue({ maxAttempts: 2 });
  await lab.etcd.put(`${lab.name}/jobs/a`, JSON.stringify({ value: "v", attempt: 2 }));
  await queue.enqueue("next");
  expect((await takeAll(queue, 1))[0]?.value).toBe("next");
  expect(await queue.deadLetters()).toMatchObject([{ id: "a", value: "v", attempts: 2 }]);
});

test("the time of the last attempt is over: it is a dead letter", async () => {
  const queue = lab.queue({ maxAttempts: 1, visibilitySeconds: 0.2 });
  await queue.enqueue("v", { id: "a" });
  const job = await queue.dequeue();
  await until(async () => (await queue.deadLetters()).length === 1);
  expect(job.signal.aborted).toBe(true);
  expect(await lab.claimed()).toEqual([]);
});

test("a dead letter can be put back, with all its attempts, and discarded", async () => {
  const queue = lab.queue({ maxAttempts: 1 });
  await queue.enqueue("v", { id: "a" });
  await (await queue.dequeue()).release();
  await queue.enqueue("other");
  expect(await queue.putBack("b")).toBe(false);
  expect(await queue.discard("b")).toBe(false);
  expect(await queue.putBack("a")).toBe(true);
  expect(await queue.putBack("a")).toBe(false);
  expect(await queue.deadLetters()).toEqual([]);
  expect((await takeAll(queue, 1))[0]?.value).toBe("other");
  const again = await queue.dequeue();
  expect(again).toMatchObject({ id: "a", value: "v", attempt: 1 });
  await again.release();
  expect(await queue.discard("a")).toBe(true);
  expect(await queue.deadLetters()).toEqual([]);
  expect(await lab.besideWorkers()).toEqual({});
});

test("whatever id a stranger gave a dead letter, it is put back and discarded by it", async () => {
  const queue = lab.queue({ maxAttempts: 1 });
  const letter = JSON.stringify({ value: "v", attempts: 1, diedAtMs: 1 });
  for (const id of ["/a", "//", "../b"]) await lab.etcd.put(`${lab.name}/dead/${id}`, letter);
  expect((await queue.deadLetters()).map(({ id }) => id)).toEqual(["/a", "//", "../b"]);
  expect(await queue.discard("//")).toBe(true);
  for (const id of ["/a", "../b"]) {
    expect(await queue.putBack(id)).toBe(true);
    const job = await queue.dequeue();
    expect(job.id).toBe(id);
    await job.ack();
  }
  expect(await queue.deadLetters()).toEqual([]);
  expect(await lab.besideWorkers()).toEqual({});
});

test("dead letters come the oldest first", async () => {
  const queue = lab.queue({ maxAttempts: 1 });
  for (const id of ["c", "a", "b"]) {
    await queue.enqueue("v", { id });
    await (await queue.dequeue()).release();
  }
  expect((await queue.deadLetters()).map(({ id }) => id)).toEqual(["c", "a", "b"]);
});

describe("an operator whose first request has no answer", () => {
  type Step = (queue: Queue) => Promise<unknown>;
  const discard: Step = (queue) => queue.discard("a");
  const putBack: Step = (queue) => queue.putBack("a");
  const nothing: Step = async () => {};
  const work: Step = async (queue) => (await queue.dequeue()).ack();
  const take: Step = (queue) => queue.dequeue();
  const unknown = { error: { code: "ETCD_TIMEOUT", outcomeUnknown: true } };
  const job = JSON.stringify({ value: "v", attempt: 0 });

  test.each<[string, Step, "toServer" | "toClient", Step, object, Record<string, string>]>([
    ["discards what another one puts back: false", discard, "toServer", putBack, { value: false }, { "jobs/a": job }],
    ["discards what another one discards", discard, "toServer", discard, { value: true }, {}],
    ["has discarded it", discard, "toClient", nothing, { value: true }, {}],
    ["has put it back", putBack, "toClient", nothing, { value: true }, { "jobs/a": job }],
    ["has put it back for a worker", putBack, "toClient", take, { value: true }, expect.objectContaining({})],
    ["puts back what another one puts back", putBack, "toServer", putBack, { value: true }, { "jobs/a": job }],
    ["puts back what another one discards", putBack, "toServer", discard, unknown, {}],
    ["has put back what is done meanwhile", putBack, "toClient", work, unknown, {}],
  ])("%s", async (_, step, lost, meanwhile, outcome, left) => {
    const queue = lab.queue({ maxAttempts: 1 });
    await queue.enqueue("v", { id: "a" });
    await (await queue.dequeue()).release();
    const proxy = await FaultProxy.start(lab.lab.endpoint);
    const etcd = lab.lab.client({ endpoints: proxy.endpoint });
    lab.lab.also(() => proxy.close());
    const txn = etcd.txn.bind(etcd);
    let sent = 0;
    etcd.txn = (...args) => {
      if (++sent === 1) proxy.blackHole(lost);
      return txn(...args);
    };
    const stepping = outcomeOf(step(lab.queue({ client: etcd })));
    await until(() => sent === 1);
    if (lost === "toClient") await until(async () => (await lab.keys("dead")).length === 0);
    await meanwhile(queue);
    proxy.cut();
    await proxy.heal();
    expect(await stepping).toMatchObject(outcome);
    expect(await lab.besideWorkers()).toEqual(left);
  });
});
