import { randomUUID } from "node:crypto";
import { type Job, Queue, type QueueOptions } from "../../../recipes/index.ts";
import { type LeaseId, leaseId, type Op, type TxnOptions } from "../../../src/index.ts";
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

  async keys(room: "jobs" | "workers" | "dead" | "waiting"): Promise<string[]> {
    return Object.keys(await this.view()).filter((key) => key.startsWith(`${room}/`));
  }

  /** What stands there beside the keys of workers, which stay as long as these live. */
  async besideWorkers(): Promise<Record<string, string>> {
    return Object.fromEntries(Object.entries(await this.view()).filter(([key]) => !key.startsWith("workers/")));
  }

  /** The keys of jobs that a living worker has. */
  async claimed(): Promise<string[]> {
    const view = await this.view();
    const isClaimed = ([key, text]: [string, string]) => {
      if (!key.startsWith("jobs/")) return false;
      const { holder } = JSON.parse(text) as { holder?: string };
      return holder !== undefined && `workers/${holder}` in view;
    };
    return Object.entries(view)
      .filter(isClaimed)
      .map(([key]) => key);
  }

  /** The lease of the one worker that has claimed a job. */
  async worker(): Promise<LeaseId> {
    const [key, ...others] = await this.keys("workers");
    if (key === undefined || others.length > 0) throw new Error("there is one worker");
    return leaseId(key.slice("workers/".length));
  }

  /** Claims a job in the name of a worker, as a txn does that was given up and lands late. */
  async claimLate(key: string, holder: LeaseId): Promise<void> {
    const name = `${this.name}/${key}`;
    const content = JSON.parse((await this.etcd.get(name))?.text ?? "");
    await this.etcd.put(name, JSON.stringify({ ...content, attempt: content.attempt + 1, holder }));
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

/** Whether this is the txn of a claim. */
export function claims({ success = [] }: TxnOptions): boolean {
  return contentOf(success[0])?.holder !== undefined;
}

/** Whether this is the txn of a release, or of a claim that is undone. */
export function givesBack({ compare = [], success = [] }: TxnOptions): boolean {
  const content = contentOf(success[0]);
  return compare.length > 0 && content !== undefined && content.holder === undefined;
}

function contentOf(op: Op | undefined): { holder?: string } | undefined {
  return op?.type === "put" && op.value.length > 0 ? JSON.parse(Buffer.from(op.value).toString()) : undefined;
}
