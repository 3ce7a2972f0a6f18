import { describe, expect, test } from "vitest";
import { balancerNames } from "../../../recipes/balancer/index.ts";
import { createBalancer } from "../../../recipes/balancer/internal.ts";
import { type Balancer, type BalancerOption, InvalidOptionError } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { countsOf, picked, server, servers, type TestServer } from "./servers.ts";

const lastOne = (list: readonly TestServer[]) => list.at(-1) as TestServer;
const options: readonly [string, () => BalancerOption<TestServer>][] = [
  ...balancerNames.map((name): [string, () => BalancerOption<TestServer>] => [name, () => name]),
  ["a function", () => lastOne],
  ["a Balancer of the user's own", () => ({ pick: lastOne })],
];

/**
 * Keyed and not, so that each strategy has to choose; with calls that end later, of unequal latency unless it is given.
 */
function drive(
  balancer: Balancer<TestServer>,
  list: readonly TestServer[],
  picks: number,
  random: () => number,
  latencyMs?: number,
): TestServer[] {
  const running: TestServer[] = [];
  const all: TestServer[] = [];
  for (let pick = 0; pick < picks; pick++) {
    const chosen = balancer.pick(list, pick % 2 === 0 ? { key: `k${Math.floor(random() * 1e6)}` } : {});
    all.push(chosen);
    balancer.started?.(chosen);
    running.push(chosen);
    if (running.length <= 10) continue;
    const ended = running.shift() as TestServer;
    balancer.ended?.(ended);
    balancer.report?.(ended, { latencyMs: latencyMs ?? 5 + random() });
  }
  for (const ended of running) balancer.ended?.(ended);
  return all;
}

describe.each(options)("%s", (name, option) => {
  const ofTheUser = !(balancerNames as readonly string[]).includes(name);

  test("picks out of the list that it is given, while that changes in place", () => {
    const random = seeded(`in place ${name}`);
    const balancer = createBalancer("test", option(), { zone: "a", slowStartMs: 50, random: random.next });
    const list = servers(40);
    for (let step = 0; step < 300; step++) {
      const at = random.between(0, list.length - 1);
      const change = list.length > 1 ? random.between(0, 3) : 1;
      if (change === 0) {
        // Swap-remove.
        const last = list.pop() as TestServer;
        if (at < list.length) list[at] = last;
      } else if (change === 1) list.push(server(`new-${step}`, { zone: random.pick(["a", "b"]) }));
      else if (change === 2) list[at] = server((list[at] as TestServer).key, { weight: random.between(0, 5) });
      else list[at] = server(`instead-${step}`);
      balancer.changed?.();
      for (const chosen of drive(balancer, list, 10, random.next)) {
        expect(list, `step ${step}, seed ${random.seed}`).toContain(chosen);
      }
    }
  });

  test("a smaller array for one retry is served, and the list goes on as if nothing was", () => {
    const random = seeded(`one-off ${name}`);
    const balancer = createBalancer("test", option(), { random: random.next });
    const list = servers(8);
    const counts = new Map<string, number>();
    for (let pick = 0; pick < 4_000; pick++) {
      const key = `k${pick}`;
      const count = (one: TestServer) => counts.set(one.key, (counts.get(one.key) ?? 0) + 1);
      const first = balancer.pick(list, { key });
      count(first);
      if (pick % 4 === 0) {
        const others = list.filter((one) => one !== first);
        const second = balancer.pick(others, { key });
        expect(others).toContain(second);
        count(second);
      }
    }
    if (ofTheUser) return;
    for (const { key } of list) {
      expect(counts.get(key), `${key}, seed ${random.seed}`).toBeGreaterThan(500);
      expect(counts.get(key), `${key}, seed ${random.seed}`).toBeLessThan(750);
    }
  });

  test("ids with a meaning in JavaScript are ids like others", () => {
    const random = seeded(`hostile ${name}`);
    const hostile = ["__proto__", "constructor", "toString", "", "0", "ä/猫/🐈", "a\u0000b", "\ud800", "length"];
    const list = hostile.map((key) => server(key));
    const balancer = createBalancer("test", option(), { slowStartMs: 10, zone: "a", random: random.next });
    const counts = countsOf(drive(balancer, list, 2_000, random.next).map(({ key }) => key));
    expect([...counts.keys()].sort()).toEqual(ofTheUser ? ["length"] : [...hostile].sort());
    // Plain strings too, as one who uses it alone may have them.
    const plain = createBalancer<string>("test", ofTheUser ? "random" : (name as "random"));
    const some = new Set(Array.from({ length: 500 }, (_, index) => plain.pick(hostile, { key: `${index}` })));
    expect(some.size).toBe(hostile.length);
  });

  test("the own zone is preferred as long as it has a server", () => {
    const random = seeded(`zone ${name}`);
    const balancer = createBalancer("test", option(), { zone: "b", random: random.next });
    const list = [...servers(6), server("b1", { zone: "b" }), server("b2", { zone: "b" })];
    const used = () => new Set(drive(balancer, list, 400, random.next).map(({ key }) => key));
    expect([...used()].sort()).toEqual(ofTheUser ? ["b2"] : ["b1", "b2"]);
    list.pop();
    balancer.changed?.();
    expect([...used()]).toEqual(["b1"]);
    list.pop();
    balancer.changed?.();
    expect(used().size).toBe(ofTheUser ? 1 : 6);
    list.push(server("b3", { zone: "b" }));
    balancer.changed?.();
    expect([...used()]).toEqual(["b3"]);
  });

  test("a new server begins with a small share, which grows to its full one", () => {
    const random = seeded(`slow start ${name}`);
    let nowMs = 0;
    const settings = { slowStartMs: 10_000, random: random.next, nowMs: () => nowMs };
    const balancer = createBalancer("test", option(), settings);
    const list = servers(20);
    const shareOf = (key: string) => {
      // As fast as each other: a strategy that looks at latency has no reason but chance to like one more or less.
      const all = drive(balancer, list, 8_000, random.next, 5);
      return all.filter((one) => one.key === key).length / (all.length / (ofTheUser ? 1 : list.length));
    };
    expect(shareOf("m19"), "who is there from the beginning is not new").toBeGreaterThan(0.7);
    list.push(server("new"));
    balancer.changed?.();
    const shares = [0, 2_500, 5_000, 7_500, 10_000].map((atMs) => {
      nowMs = atMs;
      return shareOf("new");
    });
    const received = `${shares.map((share) => share.toFixed(2)).join(" ")}, seed ${random.seed}`;
    // Each is a part of its even share; those that look for idle servers may use what it has in advance.
    expect(shares[0], received).toBeLessThan(0.35);
    expect(shares[0], received).toBeGreaterThan(0.02);
    expect(shares[2], received).toBeGreaterThan(0.2);
    expect(shares[2], received).toBeLessThan(ofTheUser ? 0.6 : 1);
    expect(shares[4], received).toBeGreaterThan(0.7);
    expect(shares[0], received).toBeLessThan((shares[4] as number) / 2);
    expect(shares[1], received).toBeLessThan(shares[4] as number);
  });
});

test("round-robin goes on where it is in its zone, when the list changes", () => {
  const balancer = createBalancer<TestServer>("test", "round-robin", { zone: "b", random: () => 0 });
  const list = [...servers(5), ...servers(6).map(({ key }) => server(`b-${key}`, { zone: "b" }))];
  const keys: string[] = [];
  for (let change = 0; change < 6; change++) {
    keys.push(...picked(balancer, list, 2).map((key) => key.slice(-1)));
    list.push(server(`more-${change}`));
    balancer.changed?.();
  }
  expect(keys.join("")).toBe("012345012345");
});

test("a function sees a frozen list, the same one until it changes, and another one for a retry", () => {
  const seen: (readonly TestServer[])[] = [];
  const balancer = createBalancer<TestServer>("test", (list) => {
    seen.push(list);
    return lastOne(list);
  });
  const list = servers(3);
  balancer.pick(list, {});
  balancer.pick(list.slice(1), {});
  balancer.pick(list, {});
  list[0] = server("other");
  balancer.changed?.();
  balancer.pick(list, {});
  expect(seen.every(Object.isFrozen)).toBe(true);
  expect(seen[2]).toBe(seen[0]);
  expect(seen[1]).toHaveLength(2);
  expect(seen.map(([first]) => first?.key)).toEqual(["m0", "m1", "m0", "other"]);
});

describe("a weight that is none", () => {
  const looking = ["weighted-round-robin", "p2c", "least-requests", "consistent-hash"] as const;

  test.each(looking)("%s names the server and its weight", (name) => {
    for (const weight of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) {
      const list = [server("good"), server("bad", { weight })];
      const pick = () => createBalancer<TestServer>("test", name).pick(list, {});
      expect(pick).toThrow(InvalidOptionError);
      expect(pick).toThrow(`weight of "bad" must be a number of at least 0, not ${weight}`);
    }
  });

  test.each(["round-robin", "random"] as const)("%s does not look at it", (name) => {
    const list = [server("good"), server("bad", { weight: Number.NaN })];
    const balancer = createBalancer<TestServer>("test", name, { slowStartMs: 1_000 });
    balancer.pick(list, {});
    list.push(server("new", { weight: Number.NaN }));
    balancer.changed?.();
    expect(countsOf(picked(balancer, list, 300)).size).toBe(3);
  });

  test.each(looking)("%s bears weights of any size", (name) => {
    const sizes = [0, 5e-324, 1e-300, 1, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.MAX_VALUE];
    const list = sizes.map((weight, index) => server(`m${index}`, { weight }));
    const random = seeded(`any weight ${name}`);
    const balancer = createBalancer<TestServer>("test", name, { random: random.next });
    const counts = countsOf(drive(balancer, list, 1_000, random.next).map(({ key }) => key));
    expect(counts.has("m0")).toBe(false);
    for (const huge of ["m4", "m5", "m6"]) expect(counts.get(huge)).toBeGreaterThan(100);
    const tiny = list.slice(0, 3);
    expect(countsOf(drive(balancer, tiny, 200, random.next).map(({ key }) => key)).get("m0")).toBeUndefined();
  });
});

describe.each(balancerNames)("%s, informed where its list changed", (name) => {
  test("picks what it would without that, and out of the list", () => {
    const random = seeded(`told ${name}`);
    const settings = () => {
      const own = seeded(`same numbers ${random.seed}`);
      return { zone: "a", slowStartMs: 50, random: own.next, nowMs: () => 0 };
    };
    const received = createBalancer<TestServer>("test", name, settings());
    const list = servers(300);
    received.pick(list, {});
    for (let step = 0; step < 200; step++) {
      const positions: number[] = [];
      for (let change = random.between(1, 5); change > 0; change--) {
        const at = random.between(0, list.length - 1);
        const what = random.between(0, 3);
        positions.push(at);
        if (what === 0 && list.length > 1) {
          const last = list.pop() as TestServer;
          positions.push(list.length);
          if (at < list.length) list[at] = last;
        } else if (what === 1)
          positions.push(list.push(server(`new-${step}-${change}`, { zone: random.pick(["a", "b"]) })) - 1);
        else if (what === 2) list[at] = server((list[at] as TestServer).key, { weight: random.between(0, 5) });
        else list[at] = server(`instead-${step}-${change}`, { weight: random.between(0, 3) });
      }
      received.changed?.({ servers: list, positions });
      for (const chosen of drive(received, list, 5, random.next)) {
        expect(list, `step ${step}, seed ${random.seed}`).toContain(chosen);
      }
    }
    // Only a server with a weight, in the zone, is chosen.
    const warm = list.filter(({ metadata, weight }) => metadata.zone === "a" && (weight > 0 || !weighs.has(name)));
    const seen = new Set(drive(received, list, 60_000, random.next).map(({ key }) => key));
    for (const key of seen)
      expect(
        warm.map((one) => one.key),
        `seed ${random.seed}`,
      ).toContain(key);
    expect(seen.size, `seed ${random.seed}`).toBeGreaterThan(warm.length * 0.9);
  });
});

const weighs = new Set<string>(["weighted-round-robin", "p2c", "least-requests", "consistent-hash"]);

test.each(balancerNames)("%s picks out of a list in which one takes the place of another and keeps its own", (name) => {
  const random = seeded(`twins ${name}`);
  const balancer = createBalancer<TestServer>("test", name, { random: random.next });
  const list = servers(3);
  balancer.pick(list, {});
  list[0] = list[1] as TestServer;
  balancer.changed?.({ servers: list, positions: [0] });
  for (const chosen of drive(balancer, list, 100, random.next)) expect(list, `seed ${random.seed}`).toContain(chosen);
});

test.each(balancerNames)("%s looks only at the servers that changed", (name) => {
  let read = 0;
  const list = new Proxy(servers(5_000), {
    get(target, property, receiver) {
      read++;
      return Reflect.get(target, property, receiver);
    },
  });
  const balancer = createBalancer<TestServer>("test", name, { zone: "a" });
  for (let change = 0; change < 100; change++) {
    balancer.pick(list, { key: `k${change}` });
    if (change === 10) read = 0;
    list[change * 7] = server(`later-${change}`);
    balancer.changed?.({ servers: list, positions: [change * 7] });
  }
  balancer.pick(list, {});
  expect(read).toBeLessThan(90 * 30);
});
