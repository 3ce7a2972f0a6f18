import { randomUUID } from "node:crypto";
import { type Job, Queue, type QueueOptions } from "../../../recipes/index.ts";
import type { Child } from "../../support/child.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";

/** An etcd of its own, and queues on it. */
export class QueueLab implements AsyncDisposable {
  readonly lab: RegistryLab;
  /** Of the test that runs. */
  name = "";

  private constructor(lab: RegistryLab) {
    this.lab = lab;
    this.newName();
  }

  static async start(): Promise<QueueLab> {
    return new QueueLab(await RegistryLab.start());
  }

  get etcd() {
    return this.lab.etcd;
  }

  /** A name of its own. */
  newName(): string {
    this.name = `/test/${randomUUID()}`;
    return this.name;
  }

  queue(options: QueueOptions = {}): Queue {
    const queue = new Queue(this.name, { client: this.etcd, ...options });
    this.lab.also(() => queue.close());
    return queue;
  }

  /** What stands under the queue's name now. */
  view(): Promise<Record<string, string>> {
    return viewOf(this.etcd, `${this.name}/`);
  }

  async keys(room: "jobs" | "claims" | "dead" | "waiting"): Promise<string[]> {
    return Object.keys(await this.view()).filter((key) => key.startsWith(`${room}/`));
  }

  run(source: string): Child {
    const program = runProgram(source, { ETCD_ENDPOINTS: this.lab.endpoint, QUEUE: this.name });
    this.lab.also(async () => {
      program.kill();
      await program.ended;
    });
    return program;
  }

  async clear(): Promise<void> {
    await this.lab.clear();
    this.newName();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** Takes and acknowledges so many jobs, one after the other. */
export async function takeAll(queue: Queue, count: number): Promise<Job[]> {
  const jobs: Job[] = [];
  for (let taken = 0; taken < count; taken++) {
    const job = await queue.dequeue();
    await job.ack();
    jobs.push(job);
  }
  return jobs;
}
