import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { getOp, keyMissing, type Lock, Mutex, putOp } from "../../../recipes/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { revisionOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("who comes first gets it first, also through one object", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  const order: number[] = [];
  const tokens: number[] = [];
  const waits: Promise<void>[] = [];
  const first = await mutex.acquire();
  for (let number = 0; number < 5; number++) {
    waits.push(
      mutex.run(async (lock) => {
        expect(lock.signal.aborted).toBe(false);
        expect((await lab.line(name))[0]).toBe(lock.key);
        order.push(number);
        tokens.push(lock.token);
      }),
    );
    await until(async () => (await lab.line(name)).length === number + 2);
  }
  expect(order).toEqual([]);
  await first.release();
  await Promise.all(waits);
  expect(order).toEqual([0, 1, 2, 3, 4]);
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
  expect(await lab.line(name)).toEqual([]);
});

test("a released lock says so, and releasing it again is harmless", async () => {
  const name = lab.newName();
  const lock = await lab.mutex(name).acquire();
  expect(await lab.line(name)).toEqual([lock.key]);
  await Promise.all([lock.release(), lock.release()]);
  expect(lock.signal.aborted).toBe(true);
  expect(lock.signal.reason).toMatchObject({ code: "ETCD_FENCED_OUT", message: `${lock.key} was released` });
  expect(await lab.line(name)).toEqual([]);
  {
    await using again = await lab.mutex(name).acquire();
    expect(await lab.line(name)).toEqual([again.key]);
  }
  expect(await lab.line(name)).toEqual([]);
});

test("a wait that is given up, aborted or out of time leaves no key and no lease behind", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  const held = await mutex.acquire();
  const leases = await leasesOf(lab.endpoint);
  const stop = new AbortController();
  const waiting = outcomeOf(mutex.acquire({ signal: stop.signal }));
  await until(async () => (await lab.line(name)).length === 2);
  const reason = new Error("not worth it");
  stop.abort(reason);
  expect((await waiting).error).toBe(reason);

  const late = await outcomeOf(mutex.acquire({ timeoutMs: 200 }));
  expect(late.error).toMatchObject({ code: "ETCD_TIMEOUT", message: `${name} was not free within 200 ms` });
  expect(late.tookMs).toBeGreaterThan(150);
  await until(async () => (await lab.line(name)).length === 1);
  await until(async () => (await leasesOf(lab.endpoint)).length === leases.length);

  const before = await revisionOf(lab.etcd);
  await expect(mutex.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(mutex.tryAcquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(mutex.run(() => {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(await revisionOf(lab.etcd)).toBe(before);
  expect(held.signal.aborted).toBe(false);
});

test("aborted at any moment of it, an acquisition ends and leaves nothing behind", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  for (let delayMs = 0; delayMs < 20; delayMs += 0.5) {
    const stop = new AbortController();
    const acquiring = outcomeOf(mutex.acquire({ signal: stop.signal }));
    const end = performance.now() + delayMs;
    while (performance.now() < end) await new Promise(setImmediate);
    stop.abort(new Error("stop"));
    const { value } = await acquiring;
    await value?.release();
  }
  await until(async () => (await lab.line(name)).length === 0);
});

test("tryAcquire() gives a free lock, and otherwise writes nothing", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  const lock = await mutex.tryAcquire();
  expect(lock).toBeDefined();
  expect(await lab.line(name)).toEqual([lock?.key]);
  const before = await revisionOf(lab.etcd);
  const leases = await leasesOf(lab.endpoint);
  expect(await lab.mutex(name).tryAcquire()).toBeUndefined();
  expect(await revisionOf(lab.etcd)).toBe(before);
  expect(await leasesOf(lab.endpoint)).toEqual(leases);
  await lock?.release();
});

test("of many that try at once, one gets it at most, and no key of the others stays", async () => {
  const name = lab.newName();
  for (let round = 0; round < 10; round++) {
    const tries = await Promise.all(Array.from({ length: 8 }, () => lab.mutex(name).tryAcquire()));
    const locks = tries.filter((lock): lock is Lock => lock !== undefined);
    expect(locks.length).toBeLessThanOrEqual(1);
    await until(async () => (await lab.line(name)).length === locks.length);
    await Promise.all(locks.map((lock) => lock.release()));
  }
});

test("run() releases when its work throws, and throws the same", async () => {
  const name = lab.newName();
  const thrown = new Error("oops");
  await expect(
    lab.mutex(name).run(() => {
      throw thrown;
    }),
  ).rejects.toBe(thrown);
  expect(await lab.line(name)).toEqual([]);
  expect(await lab.mutex(name).run(() => 7)).toBe(7);
});

test("a guarded write is executed while the lock is held, and never after", async () => {
  const name = lab.newName();
  const lock = await lab.mutex(name).acquire();
  const written = await lock.txn([putOp(`${name}-row`, "1")]);
  expect(written).toMatchObject({ succeeded: true, responses: [{ type: "put" }] });
  await lab.etcd.delete(lock.key);
  const refused = await outcomeOf(lock.txn([putOp(`${name}-row`, "2")]));
  expect(refused.error).toMatchObject({ code: "ETCD_FENCED_OUT", outcomeUnknown: false });
  expect(lock.signal.aborted).toBe(true);
  expect((await lab.etcd.get(`${name}-row`))?.text).toBe("1");
  const later = await outcomeOf(lock.txn([putOp(`${name}-row`, "3")]));
  expect(later.error).toMatchObject({ code: "ETCD_FENCED_OUT" });
});

test("a key that was deleted and made anew by hand does not carry the token on", async () => {
  const name = lab.newName();
  const lock = await lab.mutex(name).acquire();
  await lab.etcd.txn({ success: [putOp(`${name}-other`, "")] });
  await lab.etcd.delete(lock.key);
  await lab.etcd.put(lock.key, "");
  expect((await outcomeOf(lock.txn([putOp(`${name}-row`, "x")]))).error).toMatchObject({ code: "ETCD_FENCED_OUT" });
  expect(await lab.etcd.get(`${name}-row`)).toBeUndefined();
  await until(() => lock.signal.aborted);
});

test("the compares of a guarded write are its own: succeeded is about them, not about the lock", async () => {
  const name = lab.newName();
  const row = `${name}-row`;
  const lock = await lab.mutex(name).acquire();
  const request = { compare: [keyMissing(row)], success: [putOp(row, "mine")], failure: [getOp(row)] };
  expect(await lock.txn(request)).toMatchObject({ succeeded: true, responses: [{ type: "put" }] });
  const second = await lock.txn(request);
  expect(second).toMatchObject({ succeeded: false, responses: [{ type: "range", kvs: [{ text: "mine" }] }] });
  expect(second.revision).toBeGreaterThan(lock.token);
  await lock.release();
});

test("close() ends the waits, releases what is held, and waits for the work of run()", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  const held = await lab.mutex(`${name}-2`).acquire();
  const work = deferred<string>();
  let lock: Lock | undefined;
  const running = mutex.run((its) => {
    lock = its;
    return work.promise;
  });
  await until(() => lock);
  const waiting = outcomeOf(mutex.acquire());
  await until(async () => (await lab.line(name)).length === 2);
  let closed = false;
  const closing = mutex.close().then(() => {
    closed = true;
  });
  expect((await waiting).error).toMatchObject({ code: "ETCD_CLOSED", message: `the mutex ${name} was closed` });
  expect(lock?.signal.reason).toMatchObject({ code: "ETCD_CLOSED" });
  await until(async () => (await lab.line(name)).length === 1);
  expect(closed).toBe(false);
  work.resolve("done");
  expect(await running).toBe("done");
  await closing;
  expect(await lab.line(name)).toEqual([]);
  await expect(mutex.acquire()).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(held.signal.aborted).toBe(false);
});

test("close() releases a lock that its owner forgot", async () => {
  const name = lab.newName();
  const mutex = new Mutex(name, { client: lab.etcd });
  const lock = await mutex.acquire();
  const { tookMs } = await outcomeOf(mutex.close());
  expect(tookMs).toBeLessThan(5_000);
  expect(lock.signal.aborted).toBe(true);
  expect(await lab.line(name)).toEqual([]);
});

test("a waiter gets the lock of a holder whose lease was revoked, and the holder hears of it", async () => {
  const name = lab.newName();
  const held = await lab.mutex(name).acquire();
  const waiting = lab.mutex(name).acquire();
  await until(async () => (await lab.line(name)).length === 2);
  await lab.etcd.delete(held.key);
  const lock = await waiting;
  await until(() => held.signal.aborted);
  expect(lock.token).toBeGreaterThan(held.token);
});
