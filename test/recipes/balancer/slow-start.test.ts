import { expect, test } from "vitest";
import { createBalancer } from "../../../recipes/balancer/internal.ts";
import { ConsistentHash, LeastRequests, RoundRobin, SlowStart, ZonePreference } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { countsOf, picked, server, servers, type TestServer } from "./servers.ts";

function slowly(inner = new RoundRobin<TestServer>(), name = "slow start") {
  const clock = { ms: 0 };
  const random = seeded(name);
  const options = { slowStartMs: 1_000, random: random.next, nowMs: () => clock.ms };
  return { balancer: new SlowStart(inner, options), clock, random };
}

test("the others share evenly what a new one does not get yet", () => {
  const { balancer, random } = slowly();
  const list = servers(10);
  picked(balancer, list, 3);
  // In the middle, as a service that was restarted is: the same key in another life.
  list[4] = server("m4", { createRevision: 2 });
  list[5] = server("m5", { createRevision: 2 });
  balancer.changed();
  const counts = countsOf(picked(balancer, list, 10_000));
  for (const { key } of list.filter((_, index) => index !== 4 && index !== 5)) {
    expect(Math.abs((counts.get(key) ?? 0) - 1_225), `${key}, seed ${random.seed}`).toBeLessThan(40);
  }
  for (const key of ["m4", "m5"]) expect(Math.abs((counts.get(key) ?? 0) - 100), key).toBeLessThan(50);
});

test("the ramp is linear, from each server's own arrival", () => {
  const { balancer, clock, random } = slowly();
  const list = servers(10);
  picked(balancer, list, 1);
  const shares = (key: string) => (countsOf(picked(balancer, list, 10_000)).get(key) ?? 0) / (10_000 / list.length);
  list.push(server("first"));
  balancer.changed();
  picked(balancer, list, 1);
  clock.ms = 400;
  list.push(server("second"));
  balancer.changed();
  const near = (share: number, wanted: number) =>
    expect(Math.abs(share - wanted), `${share}, seed ${random.seed}`).toBeLessThan(0.12);
  near(shares("first"), 0.4);
  near(shares("second"), 0.1);
  clock.ms = 900;
  near(shares("first"), 0.9);
  near(shares("second"), 0.5);
  clock.ms = 1_100;
  near(shares("first"), 1);
  near(shares("second"), 0.7);
  clock.ms = 1_400;
  near(shares("second"), 1);
});

test("it begins with the change that brought the server, not with the next pick", () => {
  const { balancer, clock } = slowly();
  const list = servers(4);
  picked(balancer, list, 1);
  list.push(server("new"));
  balancer.changed();
  clock.ms = 1_000;
  expect(countsOf(picked(balancer, list, 100)).get("new")).toBe(20);
});

test("instead of a cold one it chooses among all that are warm and only those, wherever they stand", () => {
  const random = seeded("moves while cold");
  let nowMs = 0;
  const cameMs = new Map<TestServer, number>();
  const isCold = (one: TestServer) => nowMs - (cameMs.get(one) ?? -1_000) < 1_000;
  let asked: readonly TestServer[] = [];
  const coldFirst = {
    pick(list: readonly TestServer[]) {
      asked = list;
      return list.find(isCold) ?? (list[0] as TestServer);
    },
  };
  const balancer = new SlowStart(coldFirst, { slowStartMs: 1_000, random: () => 0.999_999, nowMs: () => nowMs });
  const list = servers(8);
  balancer.pick(list, {});
  for (let step = 0; step < 300; step++) {
    nowMs += random.between(0, 600);
    const positions: number[] = [];
    for (let change = random.between(1, 3); change > 0; change--) {
      if (list.length > 4 && random.chance(0.5)) {
        // Swap-remove.
        const at = random.between(0, list.length - 1);
        const last = list.pop() as TestServer;
        if (at < list.length) list[at] = last;
        positions.push(at, list.length);
      } else {
        const one = server(`new-${step}-${change}`);
        cameMs.set(one, nowMs);
        positions.push(list.push(one) - 1);
      }
    }
    balancer.changed({ servers: list, positions });
    balancer.pick(list, {});
    const warm = list.filter((one) => !isCold(one));
    const expected = warm.length === 0 || warm.length === list.length ? list : warm;
    const keys = (some: readonly TestServer[]) => some.map(({ key }) => key).sort();
    expect(keys(asked), `step ${step}, seed ${random.seed}`).toEqual(keys(expected));
  }
});

test("when none is warm, one that is cold does the work", () => {
  const { balancer } = slowly();
  const list = servers(3);
  picked(balancer, list, 1);
  list.splice(0, 3, server("x"), server("y"));
  balancer.changed();
  expect(countsOf(picked(balancer, list, 100))).toEqual(
    new Map([
      ["x", 50],
      ["y", 50],
    ]),
  );
});

/** How many of 500 picks one gets that leaves the list, and comes back when others were picked. */
function countOfOneThatWasAway(balancer: SlowStart<TestServer>, list: TestServer[]): number | undefined {
  const [gone] = list.splice(3, 1) as [TestServer];
  balancer.changed();
  picked(balancer, list, 1);
  list.push(gone);
  balancer.changed();
  return countsOf(picked(balancer, list, 500)).get(gone.key);
}

test("another object of the same registration is not new; one that was away is", () => {
  const { balancer } = slowly();
  const list = servers(5);
  picked(balancer, list, 1);
  list[2] = server("m2", { weight: 7 });
  balancer.changed();
  expect(countsOf(picked(balancer, list, 100)).get("m2")).toBe(20);
  // Tried and left out for one retry: it was not away.
  picked(balancer, list.slice(1), 1);
  expect(countsOf(picked(balancer, list, 500)).get("m0")).toBe(100);
  expect(countOfOneThatWasAway(balancer, list)).toBeLessThan(40);
});

test("one that was away is new, also after so many retries that all that was kept is of these", () => {
  const { balancer } = slowly();
  const list = servers(5);
  picked(balancer, list, 1);
  for (const tried of list) {
    picked(
      balancer,
      list.filter((one) => one !== tried),
      1,
    );
  }
  expect(countOfOneThatWasAway(balancer, list)).toBeLessThan(40);
});

test("the share of a new server counts a weight that is too large for as much as the strategy does", () => {
  const chosen = { pick: (list: readonly TestServer[]) => list.at(-1) as TestServer };
  const shareOf = (weight: number) => {
    const clock = { ms: 0 };
    const balancer = new SlowStart(chosen, { slowStartMs: 1_000, random: () => 0, nowMs: () => clock.ms });
    const list = servers(10);
    picked(balancer, list, 1);
    list.splice(9, 1, server("new", { weight }));
    balancer.changed();
    picked(balancer, list, 1);
    clock.ms = 400;
    return countsOf(picked(balancer, list, 100)).get("new");
  };
  expect(shareOf(Number.MAX_SAFE_INTEGER)).toBeGreaterThan(70);
  for (const weight of [1e300, Number.POSITIVE_INFINITY]) {
    expect(shareOf(weight), `${weight}`).toBe(shareOf(Number.MAX_SAFE_INTEGER));
  }
});

test("a key moves to the new server once, and not back", () => {
  const { balancer, clock } = slowly(new ConsistentHash<TestServer>() as never);
  const list = servers(10);
  const keys = Array.from({ length: 4_000 }, (_, index) => `user-${index}`);
  const owners = () => keys.map((key) => balancer.pick(list, { key }).key);
  const before = owners();
  list.push(server("new"));
  balancer.changed();
  let last = before;
  const moved: number[] = [];
  for (clock.ms = 0; clock.ms <= 1_000; clock.ms += 100) {
    const now = owners();
    for (const [index, owner] of now.entries()) {
      if (owner !== last[index]) expect(owner).toBe("new");
    }
    moved.push(now.filter((owner) => owner === "new").length);
    last = now;
  }
  const full = moved.at(-1) as number;
  expect(Math.abs(full - keys.length / 11)).toBeLessThan(120);
  expect(Math.abs((moved[5] as number) / full - 0.5)).toBeLessThan(0.15);
  expect(last).toEqual(keys.map((key) => new ConsistentHash<TestServer>().pick(list, { key }).key));
});

test("a strategy that looks for idle servers does not give a new one everything", () => {
  const { balancer, random } = slowly(new LeastRequests<TestServer>({ random: seeded("idle").next }) as never);
  const list = servers(50);
  // All are busy for long, so that an idle one is always the least.
  for (const one of list) for (let call = 0; call < 100; call++) balancer.started(one);
  picked(balancer, list, 1);
  list.push(server("new"));
  balancer.changed();
  const counts = countsOf(picked(balancer, list, 10_000));
  // A tenth of 1/51 of 10 000, twice, is 39.
  expect(counts.get("new"), `seed ${random.seed}`).toBeLessThan(60);
});

test("while the only server of the own zone is new, warm ones of other zones help", () => {
  const clock = { ms: 0 };
  const random = seeded("zone and slow start");
  const settings = { zone: "b", slowStartMs: 1_000, random: random.next, nowMs: () => clock.ms };
  const balancer = createBalancer<TestServer>("test", "round-robin", settings);
  const list = servers(9);
  picked(balancer, list, 1);
  list.push(server("near", { zone: "b" }));
  balancer.changed?.();
  const share = () => (countsOf(picked(balancer, list, 2_000)).get("near") ?? 0) / 2_000;
  expect(share(), `seed ${random.seed}`).toBeLessThan(0.15);
  // The whole zone is this one: its share is everything, and not a tenth.
  clock.ms = 600;
  expect(Math.abs(share() - 0.6), `seed ${random.seed}`).toBeLessThan(0.1);
  clock.ms = 1_000;
  expect(share()).toBe(1);
});

test("calls, outcomes and changes reach the balancer inside", () => {
  const received: string[] = [];
  const inner = {
    pick: (list: readonly TestServer[]) => list[0] as TestServer,
    changed: () => received.push("changed"),
    started: ({ key }: TestServer) => received.push(`started ${key}`),
    ended: ({ key }: TestServer) => received.push(`ended ${key}`),
    report: ({ key }: TestServer, { latencyMs }: { latencyMs?: number | undefined }) =>
      received.push(`report ${key} ${latencyMs}`),
  };
  const balancer = new SlowStart(new ZonePreference(inner, { zone: "a" }), { slowStartMs: 1 });
  balancer.changed();
  balancer.started(server("x"));
  balancer.ended(server("x"));
  balancer.report(server("x"), { latencyMs: 3 });
  expect(received).toEqual(["changed", "started x", "ended x", "report x 3"]);
});

test("bad options are named", () => {
  for (const slowStartMs of [-1, Number.NaN, Number.POSITIVE_INFINITY, "1"]) {
    expect(() => createBalancer("test", "random", { slowStartMs: slowStartMs as number })).toThrow(
      "SlowStart: slowStartMs must be a number of milliseconds, 0 or above, not",
    );
  }
  expect(() => new SlowStart(new RoundRobin(), { slowStartMs: 1, initialShare: 0 })).toThrow("initialShare must be");
  for (const zone of ["", 5]) {
    expect(() => createBalancer("test", "random", { zone: zone as string })).toThrow("ZonePreference: zone must be");
  }
});
