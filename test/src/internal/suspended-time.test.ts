import { expect, test } from "vitest";
import { SuspendedTime } from "../../../src/internal/suspended-time.ts";
import { seeded } from "../../support/seeded.ts";

/** A machine with three clocks. Its uptime is cut off, or rounded, to whole steps. */
class Machine {
  awakeMs = 0;
  asleepMs = 0;
  wallMs = 1_700_000_000_000;
  reads = 0;
  /** How long the process loses its turn before and after it reads the uptime. */
  stall = (): number => 0;
  readonly suspended: SuspendedTime;

  constructor(startMs: number, stepSeconds: number, round = Math.floor) {
    this.suspended = new SuspendedTime({
      monotonicMs: () => this.awakeMs,
      wallMs: () => Math.floor(this.wallMs),
      uptimeSeconds: () => {
        this.reads++;
        this.run(this.stall());
        const seconds = (startMs + this.awakeMs + this.asleepMs) / 1_000;
        this.run(this.stall());
        return stepSeconds === 1 ? round(seconds) : round(seconds * 100) / 100;
      },
    });
  }

  run(ms: number): void {
    this.awakeMs += ms;
    this.wallMs += ms;
  }

  sleep(ms: number): void {
    this.asleepMs += ms;
    this.wallMs += ms;
  }
}

test("the sleep of a machine is measured, at most a few hundredths too long", () => {
  const machine = new Machine(12_345_678, 0.01);
  machine.suspended.totalMs();
  machine.run(5_000);
  machine.sleep(1_700);
  const total = machine.suspended.totalMs();
  expect(total).toBeGreaterThanOrEqual(1_700);
  expect(total).toBeLessThan(1_730);
  machine.run(50_000);
  expect(machine.suspended.totalMs()).toBe(total);
});

test("a sleep of less than a second is seen, also where the uptime was a whole second when it was first read", () => {
  const machine = new Machine(777_000, 0.01);
  machine.suspended.totalMs();
  machine.sleep(926);
  machine.run(104);
  expect(machine.suspended.totalMs()).toBeGreaterThanOrEqual(926);
  expect(machine.suspended.totalMs()).toBeLessThan(926 + 30);
});

test("a wall clock that is set is no sleep, whichever way and however often", () => {
  const machine = new Machine(777_777, 0.01);
  machine.suspended.totalMs();
  for (const ms of [1_500, 2_000, 3_600_000, -3_600_000, 30 * 24 * 3_600_000]) {
    machine.run(300);
    machine.wallMs += ms;
    expect(machine.suspended.totalMs()).toBe(0);
  }
});

test("a sleep that a wall clock hides, set back by as much, is found out a tenth of a second later", () => {
  const machine = new Machine(777_777, 0.01);
  machine.suspended.totalMs();
  machine.sleep(10_000);
  machine.wallMs -= 10_000;
  machine.run(100);
  expect(machine.suspended.totalMs()).toBeGreaterThanOrEqual(10_000);
});

test("the uptime is read ten times a second at most while nothing happens", () => {
  const machine = new Machine(777_777, 0.01);
  for (let i = 0; i < 10_000; i++) {
    machine.suspended.totalMs();
    machine.run(0.1);
  }
  expect(machine.reads).toBeLessThanOrEqual(11);
});

test("without an uptime there is no sleep", () => {
  let awakeMs = 0;
  const suspended = new SuspendedTime({
    monotonicMs: () => awakeMs++,
    wallMs: () => 0,
    uptimeSeconds: () => undefined,
  });
  for (let i = 0; i < 1_000; i++) expect(suspended.totalMs()).toBe(0);
});

test.each([
  ["cuts the hundredths off", Math.floor],
  ["rounds to hundredths", Math.round],
])("a machine whose uptime %s never slept for longer than is measured, nor much shorter", (_, round) => {
  const random = seeded(`suspended time ${round.name}`);
  const busy = () => (random.chance(0.2) ? random.next() * random.pick([1, 10, 3_000]) : random.next() / 50);
  const quiet = () => random.next() / 50;
  for (let life = 0; life < 20; life++) {
    const machine = new Machine(random.next() * 1e9, 0.01, round);
    machine.suspended.totalMs();
    let sleeps = 0;
    for (let i = 0; i < 200; i++) {
      machine.stall = busy;
      machine.run(random.next() * random.pick([1, 10, 200, 20_000]));
      if (random.chance(0.2)) {
        sleeps++;
        machine.sleep(500 + random.next() * random.pick([1_000, 10_000, 10_000_000]));
      }
      if (random.chance(0.2)) machine.wallMs += (random.next() - 0.5) * random.pick([5, 3_000, 10_000_000]);
      machine.suspended.totalMs();
      // Whatever a process that loses its turn sees: the next undisturbed look shows it.
      machine.stall = quiet;
      machine.run(100);
      const total = machine.suspended.totalMs();
      const seed = `seed ${random.seed}, life ${life}, step ${i}`;
      expect(total, seed).toBeGreaterThanOrEqual(machine.asleepMs - 25);
      expect(total, seed).toBeLessThanOrEqual(machine.asleepMs + sleeps * 3_050);
    }
  }
});

test("where the uptime counts whole seconds, a sleep is found out within a second, and nothing else is taken for one", () => {
  const random = seeded("suspended time in seconds");
  for (let life = 0; life < 50; life++) {
    const machine = new Machine(random.next() * 1e9, 1);
    machine.suspended.totalMs();
    for (let i = 0; i < 50; i++) {
      for (let passed = 0; passed < 1_100; passed += 50) {
        machine.run(50);
        machine.suspended.totalMs();
      }
      expect(machine.suspended.totalMs(), `seed ${random.seed}`).toBe(0);
    }
    const sleptMs = 500 + random.next() * 5_000;
    machine.sleep(sleptMs);
    for (let passed = 0; passed < 1_100; passed += 50) {
      machine.run(50);
      machine.suspended.totalMs();
    }
    expect(machine.suspended.totalMs(), `seed ${random.seed}`).toBeGreaterThanOrEqual(sleptMs - 50);
    expect(machine.suspended.totalMs(), `seed ${random.seed}`).toBeLessThan(sleptMs + 1_100);
  }
});
