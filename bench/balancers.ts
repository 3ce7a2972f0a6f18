import {
  type Balancer,
  ConsistentHash,
  LeastRequests,
  P2c,
  RandomChoice,
  RoundRobin,
  SlowStart,
  WeightedRoundRobin,
  ZonePreference,
} from "etcd-recipes";
import type { Bench, BenchOptions } from "./bench.ts";
import { eachInTurn, median, nanosecondsEach } from "./measure.ts";
import { figure, printTable } from "./table.ts";

interface Server {
  readonly key: string;
  readonly weight: number;
  readonly metadata: { readonly zone: string };
}

const strategies: readonly [string, () => Balancer<Server>][] = [
  ["round-robin", () => new RoundRobin()],
  ["random", () => new RandomChoice()],
  ["weighted-round-robin", () => new WeightedRoundRobin()],
  ["p2c", () => new P2c()],
  ["least-requests", () => new LeastRequests()],
  ["consistent-hash", () => new ConsistentHash()],
  ["round-robin, zone", () => new ZonePreference(new RoundRobin(), { zone: "a" })],
  ["p2c, slow start", () => new SlowStart(new P2c(), { slowStartMs: 30_000 })],
];
const pickSizes = [10, 1_000, 100_000];
const changeSizes = [1_000, 10_000, 100_000];
const roundMs = 100;

export const balancers: Bench = {
  title: "pick() of each strategy, and what a change of the list costs it",
  run({ rounds, report }: BenchOptions) {
    console.log(`pick() per second, by the number of servers; median of ${rounds} rounds\n`);
    const picks = table(pickSizes, rounds, prepared, (nanoseconds) => figure(1e9 / nanoseconds));
    console.log(`\none changed server and the pick after it, in µs; median of ${rounds} rounds\n`);
    const changes = table(changeSizes, rounds, changing, (nanoseconds) => figure(nanoseconds / 1e3));
    for (const { strategy, servers, taken } of picks) {
      const samples = taken.map((pickNanoseconds) => ({ pickNanoseconds }));
      report.add("balancers", { strategy, servers }, samples);
    }
    for (const { strategy, servers, taken } of changes) {
      const samples = taken.map((changeNanoseconds) => ({ changeNanoseconds }));
      report.add("balancers", { strategy, servers }, samples);
    }
  },
};

/** What was taken of one strategy over so many servers, in nanoseconds, one for each round. */
interface Cell {
  readonly strategy: string;
  readonly servers: number;
  readonly taken: readonly number[];
}

function table(
  sizes: readonly number[],
  rounds: number,
  work: (make: () => Balancer<Server>, size: number) => () => void,
  print: (nanoseconds: number) => string,
): Cell[] {
  const cells = strategies.flatMap(([strategy, make]) =>
    sizes.map((servers) => ({ strategy, servers, operate: work(make, servers) })),
  );
  const taken = eachInTurn(
    cells.map(
      ({ operate }) =>
        () =>
          nanosecondsEach(operate, roundMs),
    ),
    rounds,
  );
  printTable(
    ["strategy", ...sizes.map(figure)],
    strategies.map(([name], at) => [
      name,
      ...taken.slice(at * sizes.length, (at + 1) * sizes.length).map((of) => print(median(of))),
    ]),
  );
  return cells.map(({ strategy, servers }, at) => ({ strategy, servers, taken: taken[at] ?? [] }));
}

/** A tenth of the servers has calls in flight, all have been called, and each pick is for one of 1 000 keys. */
function prepared(make: () => Balancer<Server>, size: number): () => void {
  const servers = listOf(size);
  const balancer = make();
  balancer.pick(servers, {});
  for (const [index, server] of servers.entries()) {
    balancer.started?.(server);
    balancer.report?.(server, { latencyMs: 5 + (index % 7) });
    if (index % 10 !== 0) balancer.ended?.(server);
  }
  const requests = Array.from({ length: 1_000 }, (_, index) => ({ key: `user-${index}` }));
  let next = 0;
  return () => {
    if (next === requests.length) next = 0;
    balancer.pick(servers, requests[next++] ?? {});
  };
}

/** The list changes in place, as that of a SubscribeService does. */
function changing(make: () => Balancer<Server>, size: number): () => void {
  const servers = listOf(size);
  const balancer = make();
  balancer.pick(servers, {});
  let next = 0;
  return () => {
    next = (next + 7_919) % size;
    servers[next] = { ...(servers[next] as Server) };
    balancer.changed?.({ servers, positions: [next] });
    balancer.pick(servers, { key: "user-42" });
  };
}

function listOf(size: number): Server[] {
  return Array.from({ length: size }, (_, index) => ({
    key: `/publictest/pipeline/m${index}`,
    weight: 1 + (index % 3),
    metadata: { zone: index % 2 === 0 ? "a" : "b" },
  }));
}
