import { expect, test } from "vitest";
import { LeastRequests } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { byWeight, countsOf, deviation, picked, server, servers, type TestServer } from "./servers.ts";

test("the one with the fewest calls in flight, exactly", () => {
  const random = seeded("fewest");
  const list = servers(50);
  const balancer = new LeastRequests<TestServer>({ random: random.next });
  const inFlight = new Map(list.map(({ key }) => [key, 0]));
  const running: TestServer[] = [];
  for (let step = 0; step < 5_000; step++) {
    if (running.length > 0 && random.chance(0.45)) {
      const [ended] = running.splice(random.between(0, running.length - 1), 1) as [TestServer];
      balancer.ended(ended);
      inFlight.set(ended.key, (inFlight.get(ended.key) ?? 0) - 1);
      continue;
    }
    const chosen = balancer.pick(list);
    expect(inFlight.get(chosen.key), `seed ${random.seed}`).toBe(Math.min(...inFlight.values()));
    balancer.started(chosen);
    inFlight.set(chosen.key, (inFlight.get(chosen.key) ?? 0) + 1);
    running.push(chosen);
  }
});

test("by weight: calls in flight are in proportion to the weights", () => {
  const list = [server("a", { weight: 6 }), server("b", { weight: 3 }), server("c", { weight: 1 })];
  const balancer = new LeastRequests<TestServer>();
  const started = Array.from({ length: 1_000 }, () => {
    const chosen = balancer.pick(list);
    balancer.started(chosen);
    return chosen.key;
  });
  const counts = countsOf(started);
  for (const [key, share] of byWeight(list, 1_000)) {
    expect(Math.abs((counts.get(key) ?? 0) - share), key).toBeLessThanOrEqual(1);
  }
});

test("without concurrency equals are chosen by chance, in proportion to their weights", () => {
  const random = seeded("least ties");
  const list = [1, 2, 3, 4, 0].map((weight) => server(`w${weight}`, { weight }));
  const balancer = new LeastRequests<TestServer>({ random: random.next });
  const counts = countsOf(picked(balancer, list, 20_000));
  expect(counts.get("w0")).toBeUndefined();
  const expected = byWeight(list, 20_000);
  expected.delete("w0");
  expect(deviation(counts, expected), `seed ${random.seed}`).toBeLessThan(5);
});

test("calls in flight are remembered while their server is not in the list", () => {
  const list = servers(2);
  const [first, second] = list as [TestServer, TestServer];
  const balancer = new LeastRequests<TestServer>();
  balancer.started(first);
  balancer.started(first);
  // Thousands come and go meanwhile.
  for (let round = 0; round < 50; round++) {
    const others = Array.from({ length: 100 }, (_, index) => server(`other-${round}-${index}`));
    picked(balancer, others, 1);
  }
  expect(picked(balancer, list, 50)).toEqual(Array(50).fill(second.key));
  balancer.ended(first);
  balancer.ended(first);
  // More ends than beginnings give no credit.
  balancer.ended(first);
  balancer.started(first);
  expect(picked(balancer, list, 50)).toEqual(Array(50).fill(second.key));
});
