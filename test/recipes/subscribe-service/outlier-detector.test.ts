import { expect, test } from "vitest";
import { type Ejection, OutlierDetector } from "../../../recipes/subscribe-service/outlier-detector.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const options = {
  consecutiveFailures: 3,
  failureRate: 0.5,
  minimumCalls: 10,
  windowMs: 10_000,
  baseEjectionMs: 1_000,
  maxEjectionMs: 4_000,
  maxEjectedRatio: 0.5,
};
const error = new Error("refused");

function detector({ population = 10, ...given }: Partial<typeof options> & { population?: number } = {}) {
  const clock = new FakeClock();
  const ejections: (Ejection & { key: string })[] = [];
  const readmitted: string[] = [];
  const outliers = new OutlierDetector({
    options: { ...options, ...given },
    clock,
    population: () => population,
    onEject: (key, ejection) => ejections.push({ key, ...ejection }),
    onReadmit: (key) => readmitted.push(key),
  });
  const report = (key: string, results: string) => {
    for (const result of results) outliers.report(key, result === "x" ? error : undefined);
  };
  return { clock, outliers, ejections, readmitted, report };
}

test("failures in a row eject a server; a success in between begins the row anew", () => {
  const { report, ejections } = detector();
  report("a", "xx.xx.xx");
  expect(ejections).toEqual([]);
  report("a", "x");
  expect(ejections).toEqual([{ key: "a", reason: "consecutive failures", forMs: 1_000, times: 1, error }]);
});

test("a rate of failures ejects, but not before there are enough calls", () => {
  const { report, ejections } = detector();
  report("a", "x.x.x.x.x");
  expect(ejections).toEqual([]);
  report("a", ".x");
  expect(ejections).toMatchObject([{ key: "a", reason: "failure rate" }]);
});

test("the rate looks back as far as the window", () => {
  const { report, ejections, clock } = detector();
  report("a", "x.x.x.x.x");
  clock.advance(10_000);
  report("a", "x.x..x..x..x");
  expect(ejections).toEqual([]);
  clock.advance(5_000);
  report("a", "x.x.x.xx.xx");
  expect(ejections).toMatchObject([{ reason: "failure rate" }]);
});

test("it comes back when its time is over, goes again at the first failure, each time for twice as long up to the most", () => {
  const { report, ejections, readmitted, clock } = detector();
  report("a", "xxx");
  for (const forMs of [1_000, 2_000, 4_000, 4_000]) {
    expect(ejections.at(-1)?.forMs).toBe(forMs);
    clock.advance(forMs - 1);
    const before = readmitted.length;
    // What was on its way when it was ejected.
    report("a", "xx");
    clock.advance(1);
    expect(readmitted).toHaveLength(before + 1);
    report("a", "x");
  }
  expect(ejections.map(({ times }) => times)).toEqual([1, 2, 3, 4, 5]);
});

test("a success ends the probation: then it takes a row again", () => {
  const { report, ejections, clock } = detector();
  report("a", "xxx");
  clock.advance(1_000);
  report("a", ".xx");
  expect(ejections).toHaveLength(1);
  report("a", "x");
  expect(ejections).toMatchObject([{ times: 1 }, { times: 2, forMs: 2_000 }]);
});

test("who stayed in long enough begins anew", () => {
  const { report, ejections, clock } = detector();
  report("a", "xxx");
  clock.advance(1_000);
  report("a", ".");
  clock.advance(4_000);
  report("a", "xxx");
  expect(ejections).toMatchObject([{ times: 1 }, { times: 1, forMs: 1_000 }]);
});

test("no more than a share is ejected; when one is back there is room for another", () => {
  const { report, ejections, clock, readmitted } = detector({ population: 5 });
  for (const key of "abcde") report(key, "xxx");
  expect(ejections.map(({ key }) => key)).toEqual(["a", "b"]);
  clock.advance(1_000);
  expect(readmitted).toEqual(["a", "b"]);
  report("c", "x");
  expect(ejections.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  const alone = detector({ population: 1 });
  alone.report("a", "xxxxxx");
  expect(alone.ejections).toEqual([]);
  const all = detector({ population: 2, maxEjectedRatio: 1 });
  for (const key of "ab") all.report(key, "xxx");
  expect(all.ejections).toHaveLength(2);
});

test("the part that may be ejected is exact: 29 of a hundred, although 0.29 times 100 is less", () => {
  const { report, ejections } = detector({ population: 100, maxEjectedRatio: 0.29 });
  for (let server = 0; server < 100; server++) report(`s${server}`, "xxx");
  expect(ejections).toHaveLength(29);
});

test("each comes back in its own time, with one timer for all, and none after the end", () => {
  const { report, readmitted, clock, outliers } = detector();
  report("a", "xxx");
  clock.advance(500);
  report("b", "xxx");
  expect(clock.pendingTimers).toBe(1);
  clock.advance(500);
  expect(readmitted).toEqual(["a"]);
  expect(clock.pendingTimers).toBe(1);
  clock.advance(500);
  expect(readmitted).toEqual(["a", "b"]);
  expect(clock.pendingTimers).toBe(0);
  report("c", "xxx");
  outliers.close();
  expect(clock.pendingTimers).toBe(0);
});

test("who has left is forgotten, and makes room", () => {
  const { report, ejections, readmitted, clock, outliers } = detector({ population: 2 });
  report("a", "xxx");
  report("b", "xxx");
  expect(ejections).toHaveLength(1);
  outliers.forget("a");
  report("b", "x");
  expect(ejections.map(({ key }) => key)).toEqual(["a", "b"]);
  report("a", "xx");
  expect(ejections).toHaveLength(2);
  clock.advance(1_000);
  expect(readmitted).toEqual(["b"]);
});
