import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import type { Sample } from "./measure.ts";
import { type QueuePeer, queuePeers } from "./queue-peer.ts";
import type { WorkOrder } from "./queue-program.ts";
import { Redis } from "./redis.ts";
import { figure, printTable } from "./table.ts";

interface Case {
  readonly workers: number;
  readonly processes: number;
  /** How many jobs are done while the time is taken, after as many for each worker as it takes to be warm. */
  readonly jobs: number;
}

const cases: readonly Case[] = [
  { workers: 1, processes: 1, jobs: 600 },
  { workers: 8, processes: 1, jobs: 2_000 },
  { workers: 100, processes: 1, jobs: 4_000 },
  { workers: 4, processes: 4, jobs: 800 },
  { workers: 8, processes: 4, jobs: 1_500 },
  { workers: 100, processes: 4, jobs: 4_000 },
];
/** So many jobs for each worker come before those that count. */
const warmUp = 20;
const mostEventsEach = 12;

type QueueFigure = "jobsPerSecond" | "eventsEach";

export const queue: Bench = {
  title: "jobs through a queue, 1 to 100 workers in one process and in four: ours and BullMQ",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using redis = await Redis.start();
    if (!redis) console.log("There is no redis-server: ours is measured alone. `npm run setup -- --tests` gets one.\n");
    const metrics = `${cluster.endpoints[0]}/metrics`;
    const etcdPort = Number(cluster.endpoints[0]?.split(":").at(-1));
    const rows: string[][] = [];
    for (const one of cases) {
      const contestants = queuePeers
        .filter(({ name }) => name === "ours" || redis)
        .map((peer) => {
          const port = peer.name === "ours" ? etcdPort : (redis?.port ?? 0);
          return { peer: peer.name, measure: () => measure(peer, port, one, metrics) };
        });
      const taken = await inTurn(contestants, rounds, { warmUp: false });
      const ours = takenBy(taken, "ours");
      const reference = redis && takenBy(taken, "BullMQ");
      const { workers, processes } = one;
      for (const of of taken) {
        report.add("queue", { workers, processes, peer: of.peer }, of.samples);
        rows.push([
          figure(workers),
          figure(processes),
          of.peer,
          figure(of.middle("jobsPerSecond")),
          reference ? `${figure(of.ratioTo(reference, "jobsPerSecond"))}×` : "",
          of.peer === "ours" ? figure(of.middle("eventsEach")) : "",
        ]);
      }
      const where = `${workers} ${workers === 1 ? "worker" : "workers"} in ${processes}`;
      if (reference) {
        const ratio = ours.ratioTo(reference, "jobsPerSecond");
        report.target("queue", `jobs/s, ${where}`, "× BullMQ", ratio, { atLeast: 1 });
      }
      if (workers === 100) {
        const events = ours.middle("eventsEach");
        report.target("queue", `etcd's events for a job, ${where}`, "events", events, { atMost: mostEventsEach });
      }
    }
    console.log(`64 bytes each, done as soon as taken; median of ${rounds} rounds\n`);
    printTable(["workers", "processes", "", "jobs/s", "to BullMQ", "etcd's events for a job"], rows);
  },
};

/** All jobs are there before the first worker starts; the time begins when the workers are warm. */
async function measure(peer: QueuePeer, port: number, one: Case, metrics: string): Promise<Sample<QueueFigure>> {
  const { workers, processes, jobs } = one;
  const place = { port, queue: randomUUID() };
  const before = warmUp * workers;
  await peer.add(place, before + jobs);
  const started = Array.from({ length: processes }, () =>
    fork(fileURLToPath(new URL("./queue-program.js", import.meta.url))),
  );
  const order: WorkOrder = { ...place, peer: peer.name, workers: workers / processes };
  const counted = new DoneCount(started);
  for (const program of started) program.send(order);
  const from = await counted.until(before);
  const eventsBefore = await eventsOf(metrics);
  const to = await counted.until(before + jobs);
  const events = (await eventsOf(metrics)) - eventsBefore;
  const exited = started.map((program) => once(program, "exit"));
  for (const program of started) program.send("stop");
  await Promise.all(exited);
  const done = to.done - from.done;
  return { jobsPerSecond: (done / (to.atMs - from.atMs)) * 1_000, eventsEach: events / done };
}

/** How many jobs the programs have done. */
class DoneCount {
  #done = 0;
  #wake = () => {};

  constructor(programs: readonly ChildProcess[]) {
    for (const program of programs) {
      program.on("message", (count: number) => {
        this.#done += count;
        this.#wake();
      });
    }
  }

  async until(done: number): Promise<{ done: number; atMs: number }> {
    while (this.#done < done) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return { done: this.#done, atMs: performance.now() };
  }
}

async function eventsOf(metrics: string): Promise<number> {
  const text = await (await fetch(metrics)).text();
  return Number(/^etcd_debugging_mvcc_events_total (\S+)/m.exec(text)?.[1]);
}
