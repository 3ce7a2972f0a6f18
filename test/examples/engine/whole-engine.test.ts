import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cancellation } from "../../../recipes/index.ts";
import { canStartRedis } from "../../support/redis.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";
import { EngineLab, type Submitted } from "./engine-lab.ts";
import type { EngineProgram } from "./engine-program.ts";
import { TermHistory } from "./term-history.ts";

const pipelines = 3;
const tasksOfEach = 25;

type Fault = (lab: EngineLab, random: Seeded) => Promise<void>;

let names = 0;
const newName = (what: string) => `${what}-${++names}`;

const startMaster = (lab: EngineLab) => lab.master(newName("master"), "--cache-ttl", "2");
const startScheduler = (lab: EngineLab) => lab.scheduler(newName("scheduler"), "--attempts", "4");

/**
 * Masters that a failure has chosen: one that has just got a SIGTERM looks like any other, and must not be killed as
 * well.
 */
const chosen = new WeakSet<EngineProgram>();

const running = (lab: EngineLab, what: string) =>
  lab.programs.filter((it) => it.id.startsWith(what) && !it.hasEnded && isUp(it) && !chosen.has(it));

function chooseMaster(lab: EngineLab, random: Seeded): EngineProgram {
  const master = random.pick(running(lab, "master"));
  chosen.add(master);
  return master;
}

/** One that is not takes no signal in order yet. */
const isUp = (program: EngineProgram) => program.logged("registered").length + program.logged("started").length > 0;

const faults: Readonly<Record<string, Fault>> = {
  "a master is killed": async (lab, random) => {
    await chooseMaster(lab, random).kill();
    startMaster(lab);
  },
  "a master is drained": async (lab, random) => {
    const master = chooseMaster(lab, random);
    startMaster(lab);
    master.signal("SIGTERM");
    expect(await master.ended, lab.story).toEqual({ code: 0, signal: null });
    expect(master.logged("left")[0]).toMatchObject({ running: 0 });
  },
  "the leader is killed": async (lab) => {
    const leader = await lab.leader();
    startScheduler(lab);
    await leader.kill();
  },
  "the leader is frozen for longer than its lease": async (lab) => {
    const leader = await lab.leader();
    leader.signal("SIGSTOP");
    await sleep(3_000);
    leader.signal("SIGCONT");
  },
  "a member of etcd is killed, and comes back": async (lab, random) => {
    const member = random.pick(lab.cluster.members);
    await member.kill();
    await sleep(random.between(500, 1_500));
    await member.restart();
  },
  "a pipeline is cancelled": async (lab) => {
    await using cancellation = new Cancellation("/pipeline/cancel/", { client: lab.etcd });
    await cancellation.cancel("pipeline-0", "superseded", { timeoutMs: 20_000 });
  },
};

const redisIsKilled: Fault = async (lab, random) => {
  await lab.redis.kill();
  await sleep(random.between(300, 1_500));
  await lab.redis.start();
};

const seeds = [1, 2, 3, 4, 5];

// Every other one with Redis.
test.each(seeds)(
  "under failures at random times every task is done, cancelled or a dead letter (run %i)",
  async (run) => {
    const random = seeded(`whole engine ${run}`);
    const withRedis = run % 2 === 1 && canStartRedis;
    await using lab = await EngineLab.start({ members: 3, redis: withRedis ? "running" : undefined });
    await using history = new TermHistory(lab.etcd);
    const story = () => `TEST_SEED=${random.seed}, run ${run}\n${lab.story}`;
    for (let count = 0; count < 3; count++) startMaster(lab);
    for (let count = 0; count < 2; count++) startScheduler(lab);
    const tasks = submissions(random);

    await until(() => lab.programs.every(isUp), { timeoutMs: 60_000, message: story });

    const submitting = submitSlowly(lab, tasks, random);
    const failing = inRandomOrder({ ...faults, ...(withRedis && { "Redis is killed": redisIsKilled }) }, random).map(
      async ([name, fail], index) => {
        await sleep(1_000 + index * 500 + random.between(0, 400));
        await fail(lab, random).catch((cause) => {
          throw new Error(`${name}: ${cause.message}\n${story()}`, { cause });
        });
      },
    );
    await Promise.all([submitting, ...failing]);
    const ids = tasks.map(({ id }) => id);
    const progress = await lab.settled(ids, 60_000);

    const inState = (state: string) => ids.filter((id) => progress.get(id)?.state === state);
    const [done, cancelled, dead] = [inState("done"), inState("cancelled"), inState("dead")];
    const effects = await lab.effects();
    const twice = [...effects.values()].filter((count) => count > 1).length;
    console.log(
      `run ${run}, ${withRedis ? "Redis" : "etcd"}: submitted ${ids.length}, done ${done.length}, cancelled ` +
        `${cancelled.length}, dead ${dead.length}, done twice ${twice}, writes of leaders ${history.writes}`,
    );
    expect(done.length + cancelled.length + dead.length, story()).toBe(ids.length);
    // What the masters left on their disks knows nothing of what schedulers wrote.
    expect(
      done.filter((id) => !effects.has(id)),
      story(),
    ).toEqual([]);
    expect(dead, story()).toEqual(["fails"]);
    expect(
      cancelled.filter((id) => !id.startsWith("pipeline-0/") && id !== "unconfirmed"),
      story(),
    ).toEqual([]);
    expect(progress.get("unconfirmed"), story()).toMatchObject({ state: "cancelled", reason: "timeout" });
    expect(effects.has("unconfirmed") || effects.has("fails"), story()).toBe(false);
    expect(await lab.deadLetters(), story()).toHaveLength(1);
    expect(history.stale, story()).toEqual([]);
    // That project was not used for longer than its cache lives.
    const leftovers = () =>
      running(lab, "master").filter(({ id }) => existsSync(join(lab.dirOf(id), "caches/forgotten")));
    await until(() => leftovers().length === 0, { message: story });
    for (const program of lab.programs) expect(program.complaints, story()).toBe("");
  },
  120_000,
);

function submissions(random: Seeded): Submitted[] {
  const all: Submitted[] = [];
  for (let index = 0; index < tasksOfEach; index++) {
    for (let pipeline = 0; pipeline < pipelines; pipeline++) {
      const pipelineId = `pipeline-${pipeline}`;
      const project = `project-${random.between(1, 4)}`;
      all.push({ id: `${pipelineId}/${index}`, pipelineId, project, durationMs: random.between(10, 600) });
    }
  }
  const single = { pipelineId: "single", project: "forgotten", durationMs: 10 };
  return [
    { ...single, id: "first" },
    { ...single, id: "unconfirmed", confirmWithinSeconds: 1 },
    { ...single, id: "fails", failsWith: "it cannot be built" },
    ...all,
  ];
}

/** Over some 5 s, through whatever happens. */
async function submitSlowly(lab: EngineLab, tasks: readonly Submitted[], random: Seeded): Promise<void> {
  for (const task of tasks) {
    await sleep(random.between(0, 130));
    await until(() => lab.submit(task).then(() => true), { timeoutMs: 30_000, message: `${task.id} is submitted` });
  }
}

function inRandomOrder(all: Readonly<Record<string, Fault>>, random: Seeded): [string, Fault][] {
  return Object.entries(all)
    .map((entry) => ({ entry, order: random.next() }))
    .sort((a, b) => a.order - b.order)
    .map(({ entry }) => entry);
}
