import { afterAll, beforeAll, expect, test } from "vitest";
import type { Child } from "../../support/child.ts";
import { until } from "../../support/until.ts";
import { QueueLab } from "./queue-lab.ts";

const JOBS = 20_000;
const PROCESSES = 4;
const WORKERS_IN_EACH = 2;
const JOBS_AT_ONCE = 8;
/** A process is killed when so many jobs are acknowledged, and another one is started. */
const KILLS = [3_000, 8_000, 14_000];

let lab: QueueLab;

beforeAll(async () => {
  lab = await QueueLab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/**
 * Says "w" and the job's number when it begins to work on it, "a" when it has acknowledged it, "l" when it has lost it.
 */
const source = `
  import { EtcdClient, Queue } from "etcd-recipes";
  const client = new EtcdClient();
  const work = async (queue) => {
    for (;;) {
      const job = await queue.dequeue();
      console.log("w" + job.value);
      await job.ack().then(
        () => console.log("a" + job.value),
        (error) => {
          if (error.code !== "ETCD_JOB_LOST") throw error;
          console.log("l" + job.value);
        },
      );
    }
  };
  for (let worker = 0; worker < ${WORKERS_IN_EACH}; worker++) {
    const queue = new Queue(process.env.QUEUE, { client, ttlSeconds: 5, maxAttempts: 1_000 });
    queue.on("warning", () => {});
    for (let job = 0; job < ${JOBS_AT_ONCE}; job++) void work(queue);
  }`;

test(`${JOBS} jobs, ${PROCESSES * WORKERS_IN_EACH} workers in ${PROCESSES} processes, some of them killed: every job is acknowledged, none is lost`, {
  timeout: 400_000,
}, async () => {
  const producer = lab.queue();
  const enqueueing = performance.now();
  await producer.enqueueMany(Array.from({ length: JOBS }, (_, index) => String(index)));
  const enqueuedMs = performance.now() - enqueueing;
  expect(await producer.size()).toBe(JOBS);

  const programs: Child[] = [];
  const killed: Child[] = [];
  const start = () => programs.push(lab.run(source));
  // Two lines a job, nearly.
  const acknowledged = () => programs.reduce((sum, { lines }) => sum + lines.length / 2, 0);
  const began = performance.now();
  for (let count = 0; count < PROCESSES; count++) start();
  for (const at of KILLS) {
    await until(() => acknowledged() >= at, { timeoutMs: 300_000, message: () => complaints(programs) });
    const victim = programs[killed.length] as Child;
    victim.kill("SIGKILL");
    await victim.ended;
    killed.push(victim);
    start();
  }
  await until(async () => acknowledged() >= JOBS * 0.99 && (await producer.size()) === 0, {
    timeoutMs: 300_000,
    message: () => complaints(programs),
  });
  const tookMs = performance.now() - began;
  // Who has acknowledged the last ones in etcd says so a moment later.
  const inHand = () =>
    programs.filter((program) => !killed.includes(program)).flatMap(({ lines }) => inHandAtTheEnd(lines));
  await until(() => inHand().length === 0, { message: () => `in hand: ${inHand()}` });
  for (const program of programs) program.kill();
  await Promise.all(programs.map(({ ended }) => ended));

  const acks = programs.flatMap(({ lines }) =>
    lines.filter((line) => line.startsWith("a")).map((line) => line.slice(1)),
  );
  const done = new Set(acks);
  // What a killed process was about to acknowledge may be done without a report.
  const unreported = new Set(killed.flatMap(({ lines }) => inHandAtTheEnd(lines)));
  const lost = Array.from({ length: JOBS }, (_, index) => String(index)).filter((job) => !done.has(job));
  expect(lost.filter((job) => !unreported.has(job))).toEqual([]);
  expect(lost.length).toBeLessThanOrEqual(KILLS.length * WORKERS_IN_EACH * JOBS_AT_ONCE);
  expect(await producer.deadLetters()).toEqual([]);
  expect(await lab.keys("jobs")).toEqual([]);
  expect(programs.flatMap(({ errors }) => errors)).toEqual([]);
  console.log(
    `queue: ${rate(JOBS, enqueuedMs)} jobs/s in, ${rate(JOBS, tookMs)} jobs/s through ${PROCESSES * WORKERS_IN_EACH} workers, ` +
      `${acks.length - done.size} of ${JOBS} acknowledged more than once`,
  );
});

/** What was begun, and neither acknowledged nor lost. */
function inHandAtTheEnd(lines: readonly string[]): string[] {
  const open = new Set<string>();
  for (const line of lines) {
    if (line.startsWith("w")) open.add(line.slice(1));
    else open.delete(line.slice(1));
  }
  return [...open];
}

function rate(count: number, ms: number): number {
  return Math.round((count / ms) * 1_000);
}

function complaints(programs: readonly Child[]): string {
  return programs.flatMap(({ errors }) => errors.slice(0, 5)).join("\n") || "no errors";
}
