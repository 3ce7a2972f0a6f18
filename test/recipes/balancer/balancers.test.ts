import { expect, test } from "vitest";
import { createBalancer } from "../../../recipes/balancer/internal.ts";
import { RandomChoice, RoundRobin } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";

test("round-robin gives each its turn, and starts again at the end", () => {
  const balancer = new RoundRobin<string>();
  const picked = Array.from({ length: 7 }, () => balancer.pick(["a", "b", "c"]));
  expect(picked.join("")).toBe("abcabca");
  // The server whose turn it was is gone, and with it the position.
  expect(balancer.pick(["a"])).toBe("a");
});

test("round-robin stays fair while servers come and go", () => {
  const random = seeded("round robin");
  const balancer = new RoundRobin<string>();
  const all = Array.from({ length: 10 }, (_, index) => `m${index}`);
  const counts = new Map<string, number>();
  let servers: readonly string[] = all;
  for (let pick = 0; pick < 20_000; pick++) {
    if (random.chance(0.1)) servers = all.filter(() => random.chance(0.8));
    if (servers.length === 0) servers = all;
    const server = balancer.pick(servers);
    expect(servers).toContain(server);
    counts.set(server, (counts.get(server) ?? 0) + 1);
  }
  for (const count of counts.values()) {
    expect(count, `seed ${random.seed}`).toBeGreaterThan(1_700);
    expect(count, `seed ${random.seed}`).toBeLessThan(2_300);
  }
});

test("random takes the number that it is given, from the first to the last server", () => {
  const numbers = [0, 0.33, 0.34, 0.999_999];
  const balancer = new RandomChoice<string>(() => numbers.shift() ?? 0);
  expect(Array.from({ length: 4 }, () => balancer.pick(["a", "b", "c"])).join("")).toBe("aabc");
});

test("a retry among the others neither takes a turn away nor gives one twice", () => {
  const balancer = new RoundRobin<string>();
  const list = ["a", "b", "c", "d"];
  const picked: string[] = [];
  for (let pick = 0; pick < 8; pick++) {
    const server = balancer.pick(list);
    picked.push(server);
    if (server === "b") balancer.pick(list.filter((other) => other !== server));
  }
  expect(picked.join("")).toBe("abcdabcd");
});

test("retries of a server that always fails spread over all others", () => {
  const balancer = new RoundRobin<string>();
  const list = ["a", "b", "c", "d", "e"];
  const counts = new Map<string, number>();
  for (let pick = 0; pick < 1_000; pick++) {
    if (balancer.pick(list) !== "b") continue;
    const other = balancer.pick(list.filter((server) => server !== "b"));
    counts.set(other, (counts.get(other) ?? 0) + 1);
  }
  expect(counts).toEqual(new Map(["c", "d", "e", "a"].map((server) => [server, 50])));
});

test("round-robin can begin at random, so that a fleet does not begin with one server", () => {
  const random = seeded("round robin start");
  const list = Array.from({ length: 10 }, (_, index) => `m${index}`);
  const counts = new Map<string, number>();
  for (let process = 0; process < 1_000; process++) {
    const first = new RoundRobin<string>({ random: random.next }).pick(list);
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  expect(counts.size).toBe(10);
  expect(Math.max(...counts.values()), `seed ${random.seed}`).toBeLessThan(160);
});

test("round-robin goes on where it is when its list grows and shrinks in place", () => {
  const balancer = new RoundRobin<string>();
  const list = ["a", "b", "c", "d"];
  expect(balancer.pick(list) + balancer.pick(list)).toBe("ab");
  list.push("e");
  expect(balancer.pick(list) + balancer.pick(list)).toBe("cd");
  list.shift();
  list.push("f", "g");
  expect(balancer.pick(list)).toBe("f");
});

test("however many retries there are in between, everybody has his turn of the list", () => {
  const balancer = new RoundRobin<string>();
  const servers = [..."abcdefghij"];
  const picked = servers.map(() => {
    for (let retry = 0; retry < 5; retry++) balancer.pick(servers.filter((server) => server !== "a"));
    return balancer.pick(servers);
  });
  expect([...picked].sort()).toEqual(servers);
});

test("a function sees the same array of a list that has not changed, however many retries there were meanwhile", () => {
  const seen: (readonly string[])[] = [];
  const balancer = createBalancer<string>("test", (servers) => {
    seen.push(servers);
    return servers[0] as string;
  });
  const list = ["a", "b", "c", "d", "e"];
  balancer.pick(list, {});
  for (const tried of list) {
    balancer.pick(
      list.filter((server) => server !== tried),
      {},
    );
  }
  balancer.pick(list, {});
  expect(seen.at(-1)).toBe(seen[0]);
  list[0] = "f";
  balancer.changed?.();
  balancer.pick(list, {});
  expect(seen.at(-1)).toEqual(["f", "b", "c", "d", "e"]);
});
