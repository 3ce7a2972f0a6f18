import { expect, test } from "vitest";
import { type Job, Queue } from "../../../recipes/queue/index.ts";
import { prefix } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real Queue in virtual time, on an etcd in memory, under faults by chance.

const name = "/model/jobs";
const ENOUGH_MS = 240_000;
/** No request comes to etcd later than this after it was sent. */
const LATEST_MS = 11_000;

class Model {
  readonly #world: World;
  readonly #ttlSeconds: number;
  readonly #visibilitySeconds: number | undefined;
  readonly #held = new Map<string, Set<Job>>();
  readonly #stop = new AbortController();
  /** Whose enqueue() has resolved, or may have been executed. */
  readonly #added = new Map<string, "added" | "maybe">();
  /** Whose job is gone from etcd: also when the worker that acknowledged it never heard so. */
  readonly done = new Set<string>();
  readonly #acknowledging = new Set<string>();
  /** The ids in the order in which they were first handed out. */
  readonly first: string[] = [];
  /** Whether every job that was handed out was done, and no lease was lost. */
  smooth = true;
  handed = 0;
  #adding = 0;

  constructor(world: World) {
    const { random } = world;
    this.#world = world;
    this.#ttlSeconds = random.pick([2, 5, 10]);
    this.#visibilitySeconds = random.chance(0.3) ? random.between(1, 6) : undefined;
  }

  get missing(): string[] {
    return [...this.#added].filter(([id, how]) => how === "added" && !this.done.has(id)).map(([id]) => id);
  }

  get isAdding(): boolean {
    return this.#adding > 0;
  }

  open({ name: who, etcd }: Machine): Queue {
    const [ttlSeconds, visibilitySeconds] = [this.#ttlSeconds, this.#visibilitySeconds];
    const queue = new Queue(name, { ttlSeconds, visibilitySeconds, maxAttempts: 1_000, client: etcd });
    queue.on("warning", (error) => {
      if (error.name === "LeaseLostError") this.smooth = false;
      this.#world.note(`${who}: ${error.message}`);
    });
    return queue;
  }

  async add(machine: Machine, jobs: number): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const queue = this.open(machine);
    this.#adding++;
    for (let number = 0; number < jobs; number++) {
      const id = `${machine.name} ${number}`;
      await machine.sleep(random.next() * random.pick([1, 100, 2_000]));
      this.#added.set(id, "maybe");
      await queue.enqueue(id, random.chance(0.5) ? { id } : {}).then(
        () => this.#added.set(id, "added"),
        (error: Error) => world.note(`${id} may not be added: ${error.message}`),
      );
    }
    this.#adding--;
    await queue.close();
  }

  /** @param hands how many jobs it does at a time */
  async work(machine: Machine, hands: number): Promise<void> {
    const queue = this.open(machine);
    const { signal } = this.#stop;
    for (let hand = 0; hand < hands; hand++) void this.#workOn(machine, queue);
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => void queue.close().then(resolve));
    });
  }

  async #workOn({ name: who, sleep }: Machine, queue: Queue): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const job = await queue.dequeue({ signal }).catch(() => undefined);
      if (!job) return;
      this.#take(who, job);
      if (random.chance(0.8)) await sleep(random.next() * random.pick([1, 500, 4_000]));
      // Who gives it back has let go of it, whenever etcd says so.
      this.#held.get(job.value)?.delete(job);
      try {
        if (random.chance(0.85)) {
          this.#acknowledging.add(job.value);
          await job.ack();
          world.check(this.done.has(job.value), `${who} acknowledged ${job.value}, which etcd has still`);
        } else {
          this.smooth = false;
          await job.release();
        }
        world.note(`${who} is done with ${job.value}`);
      } catch (error) {
        this.smooth = false;
        world.note(`${who} lost ${job.value}: ${(error as Error).message}`);
      }
    }
  }

  #take(who: string, job: Job): void {
    const world = this.#world;
    world.note(`${who} takes ${job.value}, attempt ${job.attempt}`);
    this.handed++;
    const held = this.#held.get(job.value) ?? new Set();
    this.#held.set(job.value, held);
    if (!this.first.includes(job.value)) this.first.push(job.value);
    if (job.signal.aborted) return;
    for (const other of held)
      world.check(other.signal.aborted, `${who} holds ${job.value}, and another one does still`);
    held.add(job);
  }

  /** A job left the queue. */
  left(value: string): void {
    this.#world.check(this.#acknowledging.has(value), `${value} is gone, and no worker acknowledged it`);
    this.done.add(value);
  }

  stop(): void {
    this.#stop.abort();
  }
}

test("each job is done, by one at a time, and a worker that is alone takes them in order", async () => {
  let [handed, inOrder] = [0, 0];
  const { schedules } = await explore("queue", { schedules: 50 }, async (world) => {
    const { random } = world;
    const model = new Model(world);
    /** By value, in the order in which etcd has them. */
    const order: string[] = [];
    const values = new Map<string, string>();
    world.observe(prefix(`${name}/jobs/`), ({ type, kv }) => {
      if (type === "delete") {
        model.left(values.get(kv.key) ?? kv.key);
        return;
      }
      const { value } = JSON.parse(kv.text) as { value: string };
      values.set(kv.key, value);
      if (kv.version === 1) order.push(value);
    });
    const alone = random.chance(0.4);
    const workers = Array.from({ length: alone ? 1 : random.between(2, 3) }, () => world.machine());
    const producers = Array.from({ length: random.between(1, 2) }, () => world.machine());
    let working = workers.length;
    for (const machine of workers) void model.work(machine, alone ? 1 : random.between(1, 2)).then(() => working--);
    for (const machine of producers) void model.add(machine, random.between(1, 4));
    const leaseOfWaiting = () => {
      const [kv] = world.etcd.entries(prefix(`${name}/workers/`));
      if (!kv?.lease) return;
      world.note(`${kv.lease} is revoked by hand`);
      model.smooth = false;
      world.etcd.leaseRevoke(kv.lease);
    };
    // A second holder before the first has heard of it: that is what a revocation by hand brings.
    await world.storm(random.next() * 20_000, { byHand: alone ? [leaseOfWaiting] : [] });
    if (!alone && random.chance(0.3)) {
      const [dead] = workers;
      world.note(`${dead?.name} is killed`);
      dead?.process.kill();
      working--;
      model.smooth = false;
    }
    world.clear();
    const isDone = () => !model.isAdding && model.missing.length === 0;
    await world.until(isDone, ENOUGH_MS, `all jobs are done`);
    // Those of which it is not known whether they were added, too; and what lands late, when its job is done and gone
    // already.
    await world.sleep(LATEST_MS);
    const isEmpty = () => world.etcd.entries(prefix(`${name}/jobs/`)).length === 0;
    await world.until(isEmpty, ENOUGH_MS, "the queue is empty");
    model.stop();
    await world.until(() => working === 0, 30_000, "all workers are closed");
    await world.sleep(15_000);
    const left = world.etcd.entries(prefix(`${name}/`)).map(({ key }) => key);
    world.check(left.length === 0, `nothing is left of the queue: ${left}`);
    handed += model.handed;
    if (!alone || !model.smooth) return;
    inOrder++;
    world.check(model.first.join() === [...new Set(order)].join(), `${model.first} came in the order of ${order}`);
  });
  expect(handed).toBeGreaterThan(schedules);
  if (schedules > 0) expect(inOrder).toBeGreaterThan(0);
});
