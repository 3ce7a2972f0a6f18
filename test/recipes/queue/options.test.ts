import { expect, test } from "vitest";
import { EtcdClient, Queue } from "../../../recipes/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

// Nothing listens there: whatever did I/O before it looked at its options would be seen to wait.
const client = { endpoints: "http://127.0.0.1:1" };

test.each([
  ["name", ""],
  ["name", "/jobs/"],
  ["name", 7],
  ["name", undefined],
])("a queue refuses the %s %j", (option, name) => {
  expect(() => new Queue(name as string, { client })).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }),
  );
});

test.each([
  ["ttlSeconds", 0],
  ["ttlSeconds", 1.5],
  ["ttlSeconds", "10"],
  ["maxAttempts", 0],
  ["maxAttempts", 2.5],
  ["maxAttempts", Number.NaN],
  ["visibilitySeconds", 0],
  ["visibilitySeconds", -1],
  ["visibilitySeconds", Number.POSITIVE_INFINITY],
  ["client", "http://127.0.0.1:2379"],
  ["maxAttempt", 3],
])("a queue refuses %s: %j", (option, value) => {
  expect(() => new Queue("/jobs", { client, [option]: value })).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }),
  );
});

const calls: [string, string, (queue: Queue) => Promise<unknown>][] = [
  ["value", "enqueue(7)", (queue) => queue.enqueue(7 as never)],
  ["value", "enqueue(null)", (queue) => queue.enqueue(null as never)],
  ["delayMs", "a negative delay", (queue) => queue.enqueue("v", { delayMs: -1 })],
  ["delayMs", "an endless delay", (queue) => queue.enqueue("v", { delayMs: Number.POSITIVE_INFINITY })],
  ["delayMs", "a delay that is no number", (queue) => queue.enqueue("v", { delayMs: Number.NaN })],
  ["id", "an empty id", (queue) => queue.enqueue("v", { id: "" })],
  ["id", "an id with a slash before it", (queue) => queue.enqueue("v", { id: "/a" })],
  ["id", "an id that is no text", (queue) => queue.enqueue("v", { id: "a\ud800" })],
  ["timeoutMs", "no time at all", (queue) => queue.enqueue("v", { timeoutMs: 0 })],
  ["signal", "what is no signal", (queue) => queue.enqueue("v", { signal: {} as never })],
  ["dealyMs", "a misspelt option", (queue) => queue.enqueue("v", { dealyMs: 1 } as never)],
  ["values", "values that are no list", (queue) => queue.enqueueMany("abc" as never)],
  ["values", "a value that is no text", (queue) => queue.enqueueMany(["a", 7 as never])],
  ["delayMs", "a negative delay of many", (queue) => queue.enqueueMany(["a"], { delayMs: -1 })],
  ["id", "one id for many", (queue) => queue.enqueueMany(["a"], { id: "a" } as never)],
  ["visibilitySeconds", "no visibility", (queue) => queue.dequeue({ visibilitySeconds: 0 })],
  [
    "visibilitySeconds",
    "endless visibility",
    (queue) => queue.dequeue({ visibilitySeconds: Number.POSITIVE_INFINITY }),
  ],
  ["visibilityMs", "an option that does not exist", (queue) => queue.dequeue({ visibilityMs: 1 } as never)],
  ["id", "putting back nothing", (queue) => queue.putBack("")],
  ["id", "discarding nothing", (queue) => queue.discard("")],
  ["limit", "an option of size()", (queue) => queue.size({ limit: 1 } as never)],
];

test.each(calls)("%s is named: %s", async (option, _what, call) => {
  await using queue = new Queue("/jobs", { client });
  expect(await etcdErrorOf(call(queue))).toMatchObject({ code: "ETCD_INVALID_OPTION", option });
});

test("with a signal that is aborted already everything rejects with its reason, and nothing is sent", async () => {
  await using etcd = new EtcdClient(client);
  await using queue = new Queue("/jobs", { client: etcd });
  const reason = new Error("no");
  const signal = AbortSignal.abort(reason);
  for (const call of [
    queue.dequeue({ signal }),
    queue.enqueue("v", { signal }),
    queue.enqueueMany(["v"], { signal }),
    queue.size({ signal }),
    queue.deadLetters({ signal }),
    queue.putBack("a", { signal }),
    queue.discard("a", { signal }),
  ]) {
    await expect(call).rejects.toBe(reason);
  }
});
