import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { ClientClosedError } from "../../../src/index.ts";
import { systemClock } from "../../../src/internal/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

/** Not more often: on a busy machine a check can take that long. */
const often = { healthEverySeconds: 0.4 };

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("unhealthy from the start: ready stays pending until the first yes", async () => {
  const prefix = lab.newPrefix();
  let healthy = false;
  let ready = false;
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health: async () => healthy, ...often });
  void register.ready.then(() => {
    ready = true;
  });
  await until(() => register.status === "passive");
  expect(ready).toBe(false);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  healthy = true;
  await register.ready;
  expect(register.status).toBe("registered");
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
});

test("as long as the first check has not answered it is registering, not passive", async () => {
  const prefix = lab.newPrefix();
  let answer = (_healthy: boolean) => {};
  const health = () =>
    new Promise<boolean>((resolve) => {
      answer = resolve;
    });
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 60, { health });
  const recorder = new Recorder(register, registerEvents);
  const other = lab.register(`${prefix}m2`, "10.0.0.2:80", 60);
  await other.ready;
  expect(register.status).toBe("registering");
  answer(true);
  await register.ready;
  expect(recorder.names).toEqual(["status", "registered"]);
});

test("a closed client ends one that health has never let in", async () => {
  const client = lab.client();
  const waits = lab.register(`${lab.newPrefix()}m1`, "10.0.0.1:80", 60, { client, health: () => false });
  await until(() => waits.status === "passive");
  await client.close();
  await expect(waits.ready).rejects.toThrow(ClientClosedError);
  expect(waits.status).toBe("failed");
  const late = lab.register(`${lab.newPrefix()}m1`, "10.0.0.1:80", 60, { client, health: () => false });
  await expect(late.ready).rejects.toThrow(ClientClosedError);
  expect(late.status).toBe("failed");
});

test("it goes out of the list and comes back as its health does, and that is no loss", async () => {
  const prefix = lab.newPrefix();
  let healthy = true;
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health: () => healthy, ...often });
  const recorder = new Recorder(register, registerEvents);
  await register.ready;
  for (let round = 0; round < 3; round++) {
    recorder.clear();
    healthy = false;
    await until(() => register.status === "passive");
    expect(await viewOf(lab.etcd, prefix)).toEqual({});
    healthy = true;
    await until(() => register.status === "registered");
    expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80" });
    expect(recorder.names).toEqual(["status", "status", "registered"]);
  }
});

for (const [how, thrown] of [
  ["an error", new Error("no disk")],
  ["something without a text", Object.create(null)],
] as const) {
  test(`a check that throws ${how} is a no, reported once`, async () => {
    const prefix = lab.newPrefix();
    let broken = false;
    let asked = 0;
    const health = async () => {
      asked++;
      if (broken) throw thrown;
      return true;
    };
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health, ...often });
    await register.ready;
    const recorder = new Recorder(register, registerEvents);
    broken = true;
    await until(() => register.status === "passive");
    const before = asked;
    await until(() => asked > before + 2);
    expect(recorder.names).toEqual(["warning", "status"]);
    expect(recorder.of("warning")[0]).toBeInstanceOf(Error);
    expect(register.lastError).toEqual(recorder.of("warning")[0]);
    broken = false;
    await until(() => register.status === "registered");
    expect(register.lastError).toBeUndefined();
  });
}

test("a check that never settles is a no after its time, and its signal aborts", async () => {
  const prefix = lab.newPrefix();
  let stuck = false;
  const signals: AbortSignal[] = [];
  const health = (signal: AbortSignal) => {
    if (!stuck) return true;
    signals.push(signal);
    return new Promise<boolean>(() => {});
  };
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health, ...often });
  await register.ready;
  stuck = true;
  await until(() => register.status === "passive");
  expect(register.lastError?.message).toBe("the health check took longer than 400 ms");
  expect(signals[0]?.aborted).toBe(true);
  stuck = false;
  await until(() => register.status === "registered");
});

test("at close the running check is aborted, is not waited for, and keeps no timer", async () => {
  const prefix = lab.newPrefix();
  const signals: AbortSignal[] = [];
  const pending = new Set<number>();
  let halfTtl = 0;
  const timer = systemClock.timer;
  const timers = vi.spyOn(systemClock, "timer").mockImplementation((delayMs, callback) => {
    const started = timer(delayMs, callback);
    if (delayMs !== 1_800_000) return started;
    const number = halfTtl++;
    pending.add(number);
    const cancel = () => {
      pending.delete(number);
      started.cancel();
    };
    return { cancel, unref: () => started.unref() };
  });
  try {
    const health = (signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<boolean>(() => {});
    };
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 3_600, { health });
    await until(() => signals.length === 1);
    const began = performance.now();
    await register.close();
    expect(performance.now() - began).toBeLessThan(500);
    expect(signals[0]?.aborted).toBe(true);
    expect({ halfTtl, pending: pending.size }).toEqual({ halfTtl: 1, pending: 0 });
  } finally {
    timers.mockRestore();
  }
});

test("what is updated while it is out of the list stands there when it comes back", async () => {
  const prefix = lab.newPrefix();
  let healthy = true;
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health: () => healthy, ...often });
  await register.ready;
  healthy = false;
  await until(() => register.status === "passive");
  const updated = register.update({ address: "10.0.0.2:80" });
  healthy = true;
  await updated;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.2:80" });
});

test("a key that was taken while it was out is not taken back", async () => {
  const prefix = lab.newPrefix();
  let healthy = true;
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { health: () => healthy, ...often });
  const recorder = new Recorder(register, ["conflict"]);
  await register.ready;
  healthy = false;
  await until(() => register.status === "passive");
  await lab.etcd.put(`${prefix}m1`, "by hand");
  healthy = true;
  await until(() => recorder.events.length === 1);
  expect(register.status).toBe("passive");
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "by hand" });
});
