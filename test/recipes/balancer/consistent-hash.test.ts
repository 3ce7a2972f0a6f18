import { expect, test } from "vitest";
import { ConsistentHash } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { byWeight, countsOf, deviation, picked, server, servers, type TestServer } from "./servers.ts";

const keys = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);

function owners(balancer: ConsistentHash<TestServer>, list: readonly TestServer[]): string[] {
  return keys.map((key) => balancer.pick(list, { key }).key);
}

test("keys spread over the servers in proportion to their weights", () => {
  const even = servers(50);
  expect(deviation(countsOf(owners(new ConsistentHash(), even)), byWeight(even, keys.length))).toBeLessThan(5);
  const uneven = [0.5, 1, 2, 3.5, 10].map((weight) => server(`w${weight}`, { weight }));
  expect(deviation(countsOf(owners(new ConsistentHash(), uneven)), byWeight(uneven, keys.length))).toBeLessThan(5);
});

test("the same in any order, after any history, for other objects with the same keys", () => {
  const random = seeded("hash history");
  const wanted = owners(new ConsistentHash(), servers(30));
  const balancer = new ConsistentHash<TestServer>();
  const list = [...servers(60)];
  owners(balancer, list);
  for (let round = 0; round < 20; round++) {
    list.splice(random.between(0, list.length - 1), 1);
    balancer.changed();
    balancer.pick(list, { key: "x" });
  }
  const shuffled = servers(30).sort(() => random.next() - 0.5);
  expect(owners(balancer, shuffled)).toEqual(wanted);
});

test("the same, however many other lists were picked from meanwhile, also with servers that took the place of others", () => {
  const random = seeded("other lists");
  const few = keys.slice(0, 500);
  const found = (balancer: ConsistentHash<TestServer>, list: readonly TestServer[]) =>
    few.map((key) => balancer.pick(list, { key }).key);
  for (let round = 0; round < 20; round++) {
    const balancer = new ConsistentHash<TestServer>({ loadFactor: Number.POSITIVE_INFINITY });
    const list = [...servers(100)];
    balancer.pick(list, { key: "x" });
    let made = 0;
    const replaced = Array.from({ length: 10 }, () => random.between(0, 99));
    for (const at of replaced) list.splice(at, 1, server(`new-${round}-${made++}`));
    // More lists than are kept, and more servers than are known: places of those that are gone are given to others.
    for (let others = 0; others < 6; others++) {
      const other = Array.from({ length: 60 }, () => server(`other-${round}-${made++}`));
      balancer.pick(other, { key: "x" });
    }
    expect(found(balancer, list), `seed ${random.seed}, round ${round}`).toEqual(found(new ConsistentHash(), list));
  }
});

test("the same in another process, and in the next release", () => {
  const list = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
  const balancer = new ConsistentHash<string>();
  const here = ["a", "b", "c", "d", "e", "f", "g", "h"].map((key) => balancer.pick(list, { key }).at(-1)).join("");
  expect(here).toBe("45531554");
});

test("one that joins takes its share of the keys, and no other key moves", () => {
  const list = servers(99);
  const balancer = new ConsistentHash<TestServer>();
  const before = owners(balancer, list);
  list.push(server("joined"));
  balancer.changed();
  const after = owners(balancer, list);
  const moved = after.filter((owner, index) => owner !== before[index]);
  expect(new Set(moved)).toEqual(new Set(["joined"]));
  // 1/100 of 20 000 is 200; six standard deviations are 85.
  expect(Math.abs(moved.length - 200)).toBeLessThan(85);
});

test("one that leaves gives its keys to all others, and no other key moves", () => {
  const list = servers(100);
  const balancer = new ConsistentHash<TestServer>();
  const before = owners(balancer, list);
  list[7] = list.pop() as TestServer;
  balancer.changed();
  const after = owners(balancer, list);
  const moved = keys.map((_, index) => index).filter((index) => after[index] !== before[index]);
  expect(moved.every((index) => before[index] === "m7")).toBe(true);
  expect(moved.length).toBe(before.filter((owner) => owner === "m7").length);
  expect(new Set(moved.map((index) => after[index])).size).toBeGreaterThan(60);
});

test("a changed weight moves keys to or from that server only", () => {
  const list = servers(20);
  const balancer = new ConsistentHash<TestServer>();
  const before = owners(balancer, list);
  list[4] = server("m4", { weight: 3 });
  balancer.changed();
  const heavier = owners(balancer, list);
  expect(new Set(heavier.filter((owner, index) => owner !== before[index]))).toEqual(new Set(["m4"]));
  list[4] = server("m4");
  balancer.changed();
  expect(owners(balancer, list)).toEqual(before);
});

test("no server gets more than its bound of the calls in flight, however hot a key is", () => {
  const list = servers(10);
  const balancer = new ConsistentHash<TestServer>({ loadFactor: 1.5 });
  const inFlight = new Map<string, number>();
  for (let call = 1; call <= 1_000; call++) {
    const chosen = balancer.pick(list, { key: "hot" });
    balancer.started(chosen);
    inFlight.set(chosen.key, (inFlight.get(chosen.key) ?? 0) + 1);
    expect(Math.max(...inFlight.values())).toBeLessThanOrEqual(Math.ceil((1.5 * call) / 10));
  }
  // Its own server is at the bound, and as the calls end the key comes back.
  const home = new ConsistentHash<TestServer>().pick(list, { key: "hot" });
  expect(inFlight.get(home.key)).toBe(150);
  for (const each of list) for (let call = inFlight.get(each.key) ?? 0; call > 0; call--) balancer.ended(each);
  expect(balancer.pick(list, { key: "hot" })).toBe(home);
});

test("the bound goes by weight", () => {
  const list = [server("a", { weight: 8 }), server("b"), server("c")];
  const balancer = new ConsistentHash<TestServer>({ loadFactor: 1.2 });
  const inFlight = new Map<string, number>();
  for (let call = 1; call <= 1_000; call++) {
    const chosen = balancer.pick(list, { key: `k${call % 3}` });
    balancer.started(chosen);
    inFlight.set(chosen.key, (inFlight.get(chosen.key) ?? 0) + 1);
    expect(inFlight.get(chosen.key)).toBeLessThanOrEqual(Math.ceil((1.2 * call * chosen.weight) / 10));
  }
});

test("an infinite load factor is no bound", () => {
  const list = servers(10);
  const balancer = new ConsistentHash<TestServer>({ loadFactor: Number.POSITIVE_INFINITY });
  const chosen = Array.from({ length: 100 }, () => {
    const one = balancer.pick(list, { key: "hot" });
    balancer.started(one);
    return one.key;
  });
  expect(new Set(chosen).size).toBe(1);
});

test("without a key it goes where a random key would", () => {
  const random = seeded("no key");
  const list = servers(20);
  const counts = countsOf(picked(new ConsistentHash({ random: random.next }), list, 20_000));
  // What each has of the keys, which is its share by weight give or take two percent.
  const shares = new Map<string, number>();
  const keyed = new ConsistentHash<TestServer>();
  for (let key = 0; key < 400_000; key++) {
    const owner = keyed.pick(list, { key: `user-${key}` }).key;
    shares.set(owner, (shares.get(owner) ?? 0) + 1 / 20);
  }
  expect(deviation(counts, shares), `seed ${random.seed}`).toBeLessThan(5);
});

test("an id must be the same in every process", () => {
  const anonymous = [{ address: "a" }, { address: "b" }];
  const pick = () => new ConsistentHash<object>().pick(anonymous, { key: "x" });
  expect(pick).toThrow("ConsistentHash: id must be a string or a number, the same in every process, not {");
  const balancer = new ConsistentHash<{ address: string }>({ id: ({ address }) => address });
  expect(anonymous).toContain(balancer.pick(anonymous, { key: "x" }));
  for (const loadFactor of [1, 0, Number.NaN, "2"]) {
    expect(() => new ConsistentHash({ loadFactor: loadFactor as number })).toThrow(
      "ConsistentHash: loadFactor must be",
    );
  }
});

test("informed where the list changed, it equals a new one", () => {
  const random = seeded("told hash");
  const list = servers(200);
  const balancer = new ConsistentHash<TestServer>();
  balancer.pick(list, { key: "x" });
  for (let step = 0; step < 300; step++) {
    const at = random.between(0, list.length - 1);
    const what = random.between(0, 2);
    if (what === 0 && list.length > 50) {
      const last = list.pop() as TestServer;
      if (at < list.length) list[at] = last;
    } else if (what === 1) list.push(server(`joined-${step}`, { weight: random.pick([0, 0.01, 1, 30]) }));
    else list[at] = server((list[at] as TestServer).key, { weight: random.between(0, 9) });
    balancer.changed({ servers: list, positions: [at] });
    if (step % 3 === 0) balancer.pick(list, { key: "x" });
  }
  expect(owners(balancer, list), `seed ${random.seed}`).toEqual(owners(new ConsistentHash(), list));
});

test("shares differ by some two percent, and what one server has does not grow with their number", () => {
  const list = servers(100);
  const counts = new Map<string, number>();
  const balancer = new ConsistentHash<TestServer>();
  const picks = 400_000;
  for (let pick = 0; pick < picks; pick++) {
    const { key } = balancer.pick(list, { key: `user-${pick}` });
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const mean = picks / list.length;
  const variance = [...counts.values()].reduce((sum, count) => sum + (count / mean - 1) ** 2, 0) / list.length;
  expect(Math.sqrt(variance - 1 / mean)).toBeLessThan(0.03);
});
