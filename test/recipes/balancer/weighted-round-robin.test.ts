import { expect, test } from "vitest";
import { WeightedRoundRobin } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { byWeight, countsOf, picked, server, servers, type TestServer } from "./servers.ts";

const uneven = [server("a", { weight: 5 }), server("b"), server("c")];

test("weights of 5, 1 and 1 give a b a a a c a", () => {
  expect(picked(new WeightedRoundRobin(), uneven, 14).join("")).toBe("abaaacaabaaaca");
});

test("shares are exact after each whole round, whatever the weights", () => {
  const random = seeded("exact shares");
  const list = servers(20).map(({ key }) => server(key, { weight: random.between(0, 50) }));
  const round = list.reduce((sum, { weight }) => sum + weight, 0);
  const balancer = new WeightedRoundRobin<TestServer>();
  for (let rounds = 1; rounds <= 3; rounds++) {
    const counts = countsOf(picked(balancer, list, round));
    const expected = list.filter(({ weight }) => weight > 0).map(({ key, weight }) => [key, weight]);
    expect([...counts].sort(), `seed ${random.seed}`).toEqual(expected.sort());
  }
});

test("one that joins gets its share at once and no burst, and takes no turn away", () => {
  const list = servers(10);
  const balancer = new WeightedRoundRobin<TestServer>();
  picked(balancer, list, 10_003);
  list.push(server("joined"));
  balancer.changed();
  const after = picked(balancer, list, 110);
  for (let start = 0; start + 22 <= after.length; start++) {
    const counts = countsOf(after.slice(start, start + 22));
    // Two rounds: two each, one more or less.
    for (const { key } of list)
      expect(Math.abs((counts.get(key) ?? 0) - 2), `${key} from ${start}`).toBeLessThanOrEqual(1);
  }
});

test("one that joins when many have left gets its share at once too", () => {
  // Those who left took with them what they had gained: the others are not at 0 in the mean.
  const list = [...servers(3), ...servers(30).map(({ key }) => server(`heavy-${key}`, { weight: 40 }))];
  const balancer = new WeightedRoundRobin<TestServer>();
  picked(balancer, list, 617);
  list.length = 3;
  list.push(server("joined"));
  balancer.changed();
  const counts = countsOf(picked(balancer, list, 16));
  for (const { key } of list) expect(Math.abs((counts.get(key) ?? 0) - 4), key).toBeLessThanOrEqual(2);
});

test("a heavy one that leaves takes no other's turn with it", () => {
  const heavy = server("heavy", { weight: 1_000_000 });
  const light = [server("a"), server("b")];
  const balancer = new WeightedRoundRobin<TestServer>();
  picked(balancer, [heavy, ...light], 500_003);
  const counts = countsOf(picked(balancer, light, 20));
  expect(Math.abs((counts.get("a") ?? 0) - 10)).toBeLessThanOrEqual(2);
});

test("another object with the same key is the same server, with its new weight", () => {
  const list = [...uneven];
  const balancer = new WeightedRoundRobin<TestServer>();
  expect(picked(balancer, list, 3).join("")).toBe("aba");
  list[0] = server("a", { weight: 1 });
  balancer.changed();
  expect([...countsOf(picked(balancer, list, 30)).values()].every((count) => Math.abs(count - 10) <= 1)).toBe(true);
});

test("weight 0 is not picked, unless all have it", () => {
  const balancer = new WeightedRoundRobin<TestServer>();
  const list = [server("a", { weight: 0 }), server("b", { weight: 2 })];
  expect(countsOf(picked(balancer, list, 20))).toEqual(new Map([["b", 20]]));
  const none = [server("a", { weight: 0 }), server("b", { weight: 0 })];
  expect(countsOf(picked(balancer, none, 20)).get("a")).toBe(10);
  // Now only one has it.
  none[1] = server("b", { weight: 3 });
  balancer.changed();
  expect(countsOf(picked(balancer, none, 20))).toEqual(new Map([["b", 20]]));
  // Wherever its turn begins.
  const numbers = [0.99, 0, 0];
  const inTurn = new WeightedRoundRobin<TestServer>({ random: () => numbers.shift() ?? 0 });
  const three = [server("a", { weight: 0 }), server("b"), server("c")];
  expect(countsOf(picked(inTurn, three, 20)).get("a")).toBeUndefined();
});

test("shares stay those of the weights while servers come and go", () => {
  const random = seeded("weighted churn");
  const all = servers(12).map(({ key }, index) => server(key, { weight: 1 + (index % 4) }));
  const balancer = new WeightedRoundRobin<TestServer>();
  const counts = new Map<string, number>();
  const expected = new Map<string, number>();
  let list = [...all];
  for (let pick = 0; pick < 40_000; pick++) {
    if (random.chance(0.05)) {
      list = all.filter(() => random.chance(0.7));
      if (list.length === 0) list = [...all];
      balancer.changed();
    }
    const { key } = balancer.pick(list);
    counts.set(key, (counts.get(key) ?? 0) + 1);
    for (const [wanted, part] of byWeight(list, 1)) expected.set(wanted, (expected.get(wanted) ?? 0) + part);
  }
  for (const [key, wanted] of expected) {
    const ratio = (counts.get(key) ?? 0) / wanted;
    expect(ratio, `${key}, seed ${random.seed}`).toBeGreaterThan(0.9);
    expect(ratio, `${key}, seed ${random.seed}`).toBeLessThan(1.1);
  }
});

test("a fleet that starts together does not begin with one server", () => {
  const random = seeded("fleet");
  const list = servers(10);
  const first = Array.from({ length: 200 }, () =>
    new WeightedRoundRobin<TestServer>({ random: random.next }).pick(list),
  );
  const counts = countsOf(first.map(({ key }) => key));
  expect(Math.max(...counts.values()), `seed ${random.seed}`).toBeLessThan(50);
  // Each one's own order is still even.
  const balancer = new WeightedRoundRobin<TestServer>({ random: random.next });
  picked(balancer, list, 20);
  expect([...countsOf(picked(balancer, list, 100)).values()].every((count) => Math.abs(count - 10) <= 1)).toBe(true);
});
