import { expect, test } from "vitest";
import { P2c } from "../../../recipes/index.ts";
import { seeded } from "../../support/seeded.ts";
import { byWeight, countsOf, deviation, picked, server, servers, type TestServer } from "./servers.ts";

interface Call {
  readonly server: TestServer;
  readonly startMs: number;
  readonly endMs: number;
  readonly error?: unknown;
}

/** Calls that arrive one after the other and take their time, on a clock that is only moved. */
class Traffic {
  readonly random = seeded("p2c traffic");
  readonly balancer: P2c<TestServer>;
  nowMs = 0;
  latencyMs: (server: TestServer) => number = () => 10;
  fails: (server: TestServer) => boolean = () => false;
  /** How far latencies are from each other. */
  spread = 0.4;
  #running: Call[] = [];

  constructor() {
    this.balancer = new P2c({ random: this.random.next, nowMs: () => this.nowMs, decayMs: 10_000 });
  }

  /** The keys that were picked, in order. */
  run(list: readonly TestServer[], calls: number, everyMs: number): string[] {
    const keys: string[] = [];
    for (let call = 0; call < calls; call++) {
      this.nowMs += everyMs;
      this.#endUntil(this.nowMs);
      const chosen = this.balancer.pick(list);
      keys.push(chosen.key);
      this.balancer.started(chosen);
      const latencyMs = this.latencyMs(chosen) * (1 - this.spread / 2 + this.spread * this.random.next());
      const error = this.fails(chosen) ? { error: new Error("refused") } : {};
      this.#running.push({ server: chosen, startMs: this.nowMs, endMs: this.nowMs + latencyMs, ...error });
    }
    return keys;
  }

  settle(): void {
    this.#endUntil(Number.POSITIVE_INFINITY);
  }

  #endUntil(ms: number): void {
    const ended = this.#running.filter(({ endMs }) => endMs <= ms).sort((a, b) => a.endMs - b.endMs);
    this.#running = this.#running.filter(({ endMs }) => endMs > ms);
    for (const call of ended) {
      this.nowMs = Math.max(this.nowMs, call.endMs);
      this.balancer.ended(call.server);
      this.balancer.report(call.server, { latencyMs: call.endMs - call.startMs, error: call.error });
    }
  }
}

const slowOne = (ms: number) => (to: TestServer) => (to.key === "m3" ? ms : 10);

test("without outcomes it is a random choice", () => {
  const random = seeded("p2c uniform");
  const list = servers(20);
  const counts = countsOf(picked(new P2c({ random: random.next }), list, 40_000));
  const expected = new Map(list.map(({ key }) => [key, 2_000]));
  expect(deviation(counts, expected), `seed ${random.seed}`).toBeLessThan(5);
});

test("servers that are alike get about the same", () => {
  const traffic = new Traffic();
  const list = servers(10);
  const counts = countsOf(traffic.run(list, 20_000, 1));
  for (const { key } of list) {
    expect(counts.get(key), `${key}, seed ${traffic.random.seed}`).toBeGreaterThan(1_000);
    expect(counts.get(key), `${key}, seed ${traffic.random.seed}`).toBeLessThan(3_000);
  }
});

test("a slow server is avoided at once, and gets its share again when it is fast", () => {
  const traffic = new Traffic();
  const list = servers(10);
  traffic.run(list, 5_000, 2);
  traffic.latencyMs = slowOne(1_000);
  traffic.run(list, 500, 2);
  const while1s = countsOf(traffic.run(list, 10_000, 2)).get("m3") ?? 0;
  // Its even share would be 1 000.
  expect(while1s, `seed ${traffic.random.seed}`).toBeLessThan(50);
  traffic.latencyMs = slowOne(10);
  // From 1 s to 10 ms are 4.6 time constants of 10 s.
  traffic.run(list, 30_000, 2);
  const recovered = countsOf(traffic.run(list, 5_000, 2)).get("m3") ?? 0;
  expect(recovered, `seed ${traffic.random.seed}`).toBeGreaterThan(250);
});

test("a server that refuses at once attracts nothing, also when the others are busy", () => {
  const traffic = new Traffic();
  const list = servers(10);
  // Some ten calls in flight at each.
  traffic.latencyMs = () => 100;
  traffic.run(list, 5_000, 1);
  traffic.latencyMs = (to) => (to.key === "m3" ? 1 : 100);
  traffic.fails = ({ key }) => key === "m3";
  const failed = countsOf(traffic.run(list, 10_000, 1)).get("m3") ?? 0;
  expect(failed, `seed ${traffic.random.seed}`).toBeLessThan(50);
  traffic.latencyMs = () => 100;
  traffic.fails = () => false;
  traffic.run(list, 100_000, 1);
  expect(countsOf(traffic.run(list, 5_000, 1)).get("m3"), `seed ${traffic.random.seed}`).toBeGreaterThan(250);
});

test("one failure among many calls is no ban", () => {
  const traffic = new Traffic();
  const list = servers(10);
  traffic.run(list, 5_000, 2);
  traffic.settle();
  traffic.balancer.report(list[3] as TestServer, { latencyMs: 1, error: new Error("once") });
  traffic.run(list, 10_000, 2);
  expect(countsOf(traffic.run(list, 5_000, 2)).get("m3"), `seed ${traffic.random.seed}`).toBeGreaterThan(250);
});

test("a new server gets neither everything nor nothing", () => {
  const traffic = new Traffic();
  const list = servers(10);
  traffic.latencyMs = () => 50;
  traffic.run(list, 5_000, 1);
  list.push(server("new"));
  const first = countsOf(traffic.run(list, 220, 1)).get("new") ?? 0;
  expect(first, `seed ${traffic.random.seed}`).toBeGreaterThanOrEqual(5);
  // Even would be 20, and who is drawn twice as often as all others cannot get more than 40.
  expect(first, `seed ${traffic.random.seed}`).toBeLessThanOrEqual(45);
});

test("of two the one with fewer calls in flight, by weight", () => {
  const list = [server("heavy", { weight: 3 }), server("light")];
  const balancer = new P2c<TestServer>();
  const started = Array.from({ length: 400 }, () => {
    const chosen = balancer.pick(list);
    balancer.started(chosen);
    return chosen.key;
  });
  expect(Math.abs((countsOf(started).get("heavy") ?? 0) - 300)).toBeLessThanOrEqual(2);
});

test("weight 0 is not picked, unless all have it", () => {
  const random = seeded("p2c zero");
  const list = servers(1_000, { weight: 0 });
  const balancer = new P2c<TestServer>({ random: random.next });
  expect(countsOf(picked(balancer, list, 2_000)).size).toBeGreaterThan(500);
  list[700] = server("m700");
  balancer.changed();
  expect(countsOf(picked(balancer, list, 100))).toEqual(new Map([["m700", 100]]));
});

test("a latency that is no number is none", () => {
  const balancer = new P2c<TestServer>();
  const list = servers(2);
  for (const latencyMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    balancer.report(list[0] as TestServer, { latencyMs });
    balancer.report(list[1] as TestServer, { latencyMs, error: "no" });
  }
  expect(countsOf(picked(balancer, list, 100))).toEqual(new Map([["m0", 100]]));
});

test("servers that are equally fast get calls by weight, however many are under way", () => {
  for (const everyMs of [200, 0.5, 0.1]) {
    const traffic = new Traffic();
    traffic.spread = 0;
    const list = [1, 3].flatMap((weight) => servers(20).map(({ key }) => server(`${weight}-${key}`, { weight })));
    const keys = traffic.run(list, 20_000, everyMs);
    const light = keys.filter((key) => key.startsWith("1-")).length / 20_000;
    // They weigh a quarter of all.
    expect(Math.abs(light / 0.25 - 1), `every ${everyMs} ms, seed ${traffic.random.seed}`).toBeLessThan(0.15);
  }
});

test("without outcomes it is a random choice by weight", () => {
  const random = seeded("p2c by weight");
  const list = [0.5, 1, 2, 3.5, 10, 1_000].map((weight) => server(`w${weight}`, { weight }));
  const counts = countsOf(picked(new P2c({ random: random.next }), list, 100_000));
  expect(deviation(counts, byWeight(list, 100_000)), `seed ${random.seed}`).toBeLessThan(5);
});
