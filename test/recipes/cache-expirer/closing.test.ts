import { afterEach, beforeEach, expect, test } from "vitest";
import { CacheExpirer } from "../../../recipes/index.ts";
import { prefix } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// close() begins no onExpire any more, wherever the cleaning of an id is, and nothing is reported after it.

let lab: VirtualLab;
beforeEach(() => {
  lab = new VirtualLab("closing");
});
afterEach(() => lab[Symbol.asyncDispose]());

async function made<T>(call: Promise<T>): Promise<T> {
  await lab.until(call, { stepMs: 1 });
  return call;
}

/** An expirer that has noticed that these ids are gone, and asks etcd; and what it does from then on, in order. */
async function cleaningOf(ids: readonly string[], onExpire: () => unknown = () => {}) {
  const done: string[] = [];
  const { etcd, link } = lab.client();
  const expirer = new CacheExpirer("cache/", {
    client: etcd,
    ttlSeconds: 64,
    onExpire: (id) => {
      done.push(`onExpire ${id}`);
      return onExpire();
    },
  });
  expirer.on("cleaned", (id) => done.push(`cleaned ${id}`));
  lab.also(() => expirer.close());
  await made(expirer.ready);
  await made(Promise.all(ids.map((id) => expirer.track(id))));
  link.latencyMs = 20;
  const deleting = lab.client().etcd.delete(prefix("cache/"));
  while (expirer.size > 0) await lab.pass(1);
  await made(deleting);
  const close = () => expirer.close().then(() => void done.push("closed"));
  return { link, done, close };
}

test("an id that etcd is asked about when close() is called is not cleaned any more", async () => {
  const { done, close } = await cleaningOf(["a"]);
  await made(close());
  await lab.pass(60_000);
  expect(done).toEqual(["closed"]);
});

test("nor is one that etcd, away when close() is called, answers for when it is back", async () => {
  const { link, done, close } = await cleaningOf(["a"]);
  link.cut();
  const closing = close();
  await lab.pass(1_000);
  link.join();
  await made(closing);
  await lab.pass(60_000);
  expect(done).toEqual(["closed"]);
});

test("nor is one whose answer came just before close(); what had begun is waited for, and reported", async () => {
  let closing: Promise<void> | undefined;
  const { done, close } = await cleaningOf(["a", "b"], () => {
    closing ??= close();
  });
  await lab.pass(60_000);
  await closing;
  expect(done).toEqual(["onExpire a", "cleaned a", "closed"]);
});

test("an onExpire that runs longer than close() waits for it is not reported", async () => {
  const cleaned = deferred<void>();
  const { done, close } = await cleaningOf(["a"], () => cleaned.promise);
  await lab.pass(20);
  await made(close());
  cleaned.resolve();
  await lab.pass(60_000);
  expect(done).toEqual(["onExpire a", "closed"]);
});
