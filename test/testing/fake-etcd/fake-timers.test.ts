import { afterEach, expect, test, vi } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { GlobalClock } from "../../../testing/fake-etcd/global-clock.ts";
import type { FakeEtcd } from "../../../testing/fake-etcd/index.ts";
import { fakeEtcd } from "../../../testing/fake-etcd.ts";

// Where the test replaces timers and Date.

let etcd: FakeEtcd | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await etcd?.close();
  etcd = undefined;
});

test("time goes on from where it was when a runner replaces it and puts it back, and when it sets the date", () => {
  const clock = new GlobalClock();
  const passed: number[] = [];
  let lastMs = clock.monotonicMs();
  const look = () => {
    const nowMs = clock.monotonicMs();
    passed.push(Math.round(nowMs - lastMs));
    lastMs = nowMs;
  };
  vi.useFakeTimers();
  look();
  vi.advanceTimersByTime(60_000);
  look();
  vi.setSystemTime(new Date("2040-01-01"));
  look();
  vi.useRealTimers();
  look();
  expect(passed).toEqual([0, 60_000, 0, 0]);
});

test("time never goes back, however the sums of two times are rounded", () => {
  const now = vi.spyOn(performance, "now").mockReturnValue(0);
  const clock = new GlobalClock();
  let lastMs = clock.monotonicMs();
  for (let round = 1; round <= 100; round++) {
    // Another clock, which is far ahead or far behind.
    if (round % 2 === 0) vi.useRealTimers();
    else vi.useFakeTimers({ toFake: ["setTimeout"] });
    now.mockReturnValue(round % 2 === 0 ? round / 7 : round * 1e9 + 1 / 3);
    const nowMs = clock.monotonicMs();
    expect(nowMs).toBeGreaterThanOrEqual(lastMs);
    now.mockReturnValue(performance.now() + round / 3);
    lastMs = clock.monotonicMs();
    expect(lastMs).toBeGreaterThanOrEqual(nowMs);
  }
  now.mockRestore();
});

test('with time: "globals" leases, renewals and retries follow the fake timers of the runner', async () => {
  vi.useFakeTimers();
  etcd = await fakeEtcd({ time: "globals" });
  const client = etcd.client();
  const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client });
  server.on("warning", () => {});
  await server.ready;
  const detached = await client.grantLease(10, { keepAlive: false });
  await client.put("detached", "v", { lease: detached });
  expect(etcd.nowMs()).toBe(Date.now());
  await vi.advanceTimersByTimeAsync(9_900);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080", detached: "v" });
  await vi.advanceTimersByTimeAsync(600_000);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  etcd.down();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(etcd.dump()).toEqual({});
  etcd.up();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  // A date that is set moves no lease, and real timers begin where the fake ones ended.
  vi.setSystemTime(new Date("2040-01-01"));
  await vi.advanceTimersByTimeAsync(1_000);
  vi.useRealTimers();
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  expect(etcd.leases).toHaveLength(1);
  await server.close();
  expect(etcd.dump()).toEqual({});
});

test("by default fake timers stop nothing: a registration comes and goes as ever", async () => {
  vi.useFakeTimers();
  etcd = await fakeEtcd();
  const client = etcd.client();
  const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client });
  await server.ready;
  await vi.advanceTimersByTimeAsync(600_000);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  await server.close();
  expect(etcd.dump()).toEqual({});
});
