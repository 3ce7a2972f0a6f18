import { expect, test } from "vitest";
import { Mutex } from "../../../recipes/index.ts";
import { EtcdTimeoutError } from "../../../src/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

function mutexOf(lab: VirtualLab) {
  const { etcd, link } = lab.client();
  const mutex = new Mutex("/locks/report", { client: etcd, ttlSeconds: 30 });
  lab.also(() => mutex.close());
  mutex.on("warning", () => {});
  return { mutex, link };
}

test("a caller waits for its turn for as long as it said, and the lock is held for an hour", async () => {
  await using lab = new VirtualLab("turns");
  const { mutex } = mutexOf(lab);
  const lock = await mutex.acquire();
  const waiting = mutexOf(lab).mutex.acquire({ timeoutMs: 3_600_000 });
  waiting.catch(() => {});
  expect(await lab.until(waiting, { stepMs: 1_000 })).toBe(3_600_000);
  await expect(waiting).rejects.toBeInstanceOf(EtcdTimeoutError);
  expect(lock.signal.aborted).toBe(false);
});

test("a caller that says Infinity waits as long as it takes", async () => {
  await using lab = new VirtualLab("for ever");
  const { mutex } = mutexOf(lab);
  const lock = await mutex.acquire({ timeoutMs: Number.POSITIVE_INFINITY });
  const waiting = mutexOf(lab).mutex.run(() => "done", { timeoutMs: Number.POSITIVE_INFINITY });
  waiting.catch(() => {});
  await lab.pass(3_600_000);
  await lab.until(lock.release());
  await lab.until(waiting);
  expect(await waiting).toBe("done");
});

test("the next one gets it when the holder is away for its TTL, and not before the holder knows", async () => {
  await using lab = new VirtualLab("away");
  const holder = mutexOf(lab);
  const lock = await holder.mutex.acquire();
  const next = mutexOf(lab).mutex.acquire();
  await lab.pass(3_600_000);
  holder.link.cut();
  const lostAt = new Promise<number>((resolve) => {
    lock.signal.addEventListener("abort", () => resolve(lab.nowMs));
  });
  const cutAt = lab.nowMs;
  await lab.until(next);
  expect(lab.nowMs - cutAt).toBeLessThanOrEqual(30_010);
  expect(await lostAt).toBeLessThanOrEqual(lab.nowMs);
});
