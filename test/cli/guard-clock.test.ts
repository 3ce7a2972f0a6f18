import { expect, test } from "vitest";
import { guardClock } from "../../cli/guard-clock.ts";

/** A machine whose monotonic clock stands still while it is suspended, as on Linux, or goes on, as on macOS. */
class Machine {
  readonly platform: NodeJS.Platform;
  readonly #stepMs: number;
  #awakeMs = 123;
  #asleepMs = 0;
  #wallMs = 0;

  constructor(platform: NodeJS.Platform, stepMs: number) {
    this.platform = platform;
    this.#stepMs = stepMs;
  }

  run(ms: number): void {
    this.#awakeMs += ms;
  }

  suspend(ms: number): void {
    this.#asleepMs += ms;
  }

  setWall(ms: number): void {
    this.#wallMs += ms;
  }

  readonly monotonicMs = () => this.#awakeMs + (this.platform === "linux" ? 0 : this.#asleepMs);

  readonly uptimeSeconds = () => {
    const wallMs = this.platform === "linux" ? 0 : this.#wallMs;
    const upMs = 9_000_650 + this.#awakeMs + this.#asleepMs + wallMs;
    return (Math.floor(upMs / this.#stepMs) * this.#stepMs) / 1_000;
  };
}

test.each([
  ["linux", 10, 10],
  // A container whose uptime is in whole seconds.
  ["linux", 1_000, 1_000],
  ["darwin", 1_000, 0],
] as const)(
  "on %s with an uptime in steps of %i ms it is never late while the machine runs",
  (platform, step, ahead) => {
    const machine = new Machine(platform, step);
    const nowMs = guardClock(machine);
    for (let passedMs = 0; passedMs < 3_000; passedMs += 7) {
      expect(nowMs()).toBeGreaterThanOrEqual(passedMs);
      expect(nowMs()).toBeLessThanOrEqual(passedMs + ahead);
      machine.run(7);
    }
  },
);

test.each([
  ["linux", 10],
  ["darwin", 1_000],
] as const)("on %s it counts a suspension of the machine", (platform, step) => {
  const machine = new Machine(platform, step);
  const nowMs = guardClock(machine);
  machine.run(1_000);
  machine.suspend(60_000);
  machine.run(1_000);
  expect(Math.abs(nowMs() - 62_000)).toBeLessThanOrEqual(10);
});

test.each(["linux", "darwin"] as const)("on %s a wall clock that is set moves it by nothing", (platform) => {
  const machine = new Machine(platform, platform === "linux" ? 10 : 1_000);
  const nowMs = guardClock(machine);
  for (const ms of [3_600_000, -7_200_000]) {
    const beforeMs = nowMs();
    machine.setWall(ms);
    expect(nowMs()).toBe(beforeMs);
  }
});

test("where the uptime cannot be read, now or ever, it is the monotonic clock, and never runs backwards", () => {
  const machine = new Machine("linux", 10);
  const broken = () => {
    throw new Error("no /proc");
  };
  const without = guardClock({ platform: "linux", monotonicMs: machine.monotonicMs, uptimeSeconds: broken });
  let read = machine.uptimeSeconds;
  const sometimes = guardClock({
    platform: "linux",
    monotonicMs: machine.monotonicMs,
    uptimeSeconds: () => read(),
  });
  machine.suspend(5_000);
  machine.run(1_000);
  expect(without()).toBe(1_000);
  const beforeMs = sometimes();
  expect(beforeMs).toBeGreaterThanOrEqual(5_990);
  read = broken;
  machine.run(1_000);
  expect(sometimes()).toBe(beforeMs);
  expect(without()).toBe(2_000);
});
