import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { CandidacyLine } from "../../../recipes/candidacy/internal.ts";
import { EtcdClient, Mutex } from "../../../recipes/index.ts";
import { deferred, onAbort } from "../../../src/internal/index.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

let lab: ElectionLab;
beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => {
  vi.restoreAllMocks();
  return lab.clear();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  "close() %i ticks after a lock was got leaves no key and no lock behind",
  async (ticks) => {
    const name = lab.newName();
    const mutex = lab.mutex(name, { ttlSeconds: 5 });
    const campaign = CandidacyLine.prototype.campaign;
    let closing: Promise<void> | undefined;
    const spy = vi.spyOn(CandidacyLine.prototype, "campaign").mockImplementation(async function (
      this: CandidacyLine,
      ...args
    ) {
      const first = await campaign.apply(this, args);
      void (async () => {
        for (let tick = 0; tick < ticks; tick++) await null;
        closing = mutex.close();
      })();
      return first;
    });
    try {
      const got = await mutex.acquire().catch(() => undefined);
      await until(() => closing !== undefined);
      await closing;
      expect(got?.signal.aborted ?? true).toBe(true);
      expect(await lab.line(name)).toEqual([]);
    } finally {
      spy.mockRestore();
    }
  },
);

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  "close() %i ticks after a lease was granted for it ends a wait behind another caller",
  async (ticks) => {
    const name = lab.newName();
    const holder = await lab.mutex(name).acquire();
    const mutex = lab.mutex(name);
    const grantLease = EtcdClient.prototype.grantLease;
    let closing: Promise<void> | undefined;
    const spy = vi.spyOn(EtcdClient.prototype, "grantLease").mockImplementation(async function (
      this: EtcdClient,
      ...args
    ) {
      const lease = await grantLease.apply(this, args);
      void (async () => {
        for (let tick = 0; tick < ticks; tick++) await null;
        closing = mutex.close();
      })();
      return lease;
    });
    try {
      let error: unknown;
      mutex.acquire().catch((thrown) => {
        error = thrown;
      });
      expect(await until(() => error)).toMatchObject({ code: "ETCD_CLOSED" });
      await closing;
      expect(await lab.line(name)).toEqual([`${name}/${(await leasesOf(lab.endpoint))[0]}`]);
      expect(await leasesOf(lab.endpoint)).toHaveLength(1);
    } finally {
      spy.mockRestore();
      await holder.release();
    }
  },
);

test("close() by a listener of a lock that close() ends waits for the work as well", async () => {
  const name = lab.newName();
  const mutex = new Mutex(name, { client: { endpoints: lab.endpoint } });
  const work = deferred<void>();
  const begun = deferred<void>();
  let inner: Promise<void> | undefined;
  let working = true;
  const ran = mutex.run(async (lock) => {
    onAbort(lock.signal, () => {
      inner = mutex.close();
    });
    begun.resolve();
    await work.promise;
    working = false;
  });
  await begun.promise;
  const closing = mutex.close();
  let closed = false;
  void inner?.then(() => {
    closed = true;
  });
  const next = lab.mutex(name).acquire();
  await until(async () => (await lab.line(name)).length === 2);
  expect([closed, (await lab.line(name)).length]).toEqual([false, 2]);
  work.resolve();
  await ran;
  await closing;
  const lock = await next;
  expect(working).toBe(false);
  await lock.release();
});
