import { EtcdClient, Queue } from "etcd-recipes";

/** A queue of one kind: how a process adds jobs to it, and how workers in a process do them. */
export interface QueuePeer {
  readonly name: string;
  add(to: QueuePlace, jobs: number): Promise<void>;
  /** Starts so many workers, one job at a time each; `onDone` is called for each job that is acknowledged. */
  work(on: QueuePlace, workers: number, onDone: () => void): Promise<Stop>;
}

export interface QueuePlace {
  /** The port of etcd or Redis on 127.0.0.1. */
  readonly port: number;
  readonly queue: string;
}

export type Stop = () => Promise<void>;

const value = "x".repeat(64);

/** A `Queue` for each worker, all of one process on one client. */
const ours: QueuePeer = {
  name: "ours",
  async add({ port, queue: name }, jobs) {
    await using client = new EtcdClient({ endpoints: `http://127.0.0.1:${port}` });
    await using queue = new Queue(`/bench/${name}`, { client });
    await queue.enqueueMany(Array.from({ length: jobs }, () => value));
  },
  async work({ port, queue: name }, workers, onDone) {
    const client = new EtcdClient({ endpoints: `http://127.0.0.1:${port}` });
    const queues = Array.from({ length: workers }, () => new Queue(`/bench/${name}`, { client, ttlSeconds: 60 }));
    const working = queues.map(async (queue) => {
      for (;;) {
        const job = await queue.dequeue().catch(() => undefined);
        if (!job) return;
        await job.ack();
        onDone();
      }
    });
    return async () => {
      await Promise.all(queues.map((queue) => queue.close()));
      await Promise.all(working);
      await client.close();
    };
  },
};

/** What is used of the package `bullmq`. */
interface BullMq {
  Queue: new (
    name: string,
    options: object,
  ) => { addBulk(jobs: readonly object[]): Promise<unknown>; close(): Promise<void> };
  Worker: new (
    name: string,
    work: () => Promise<void>,
    options: object,
  ) => { on(event: "completed", listener: () => void): unknown; close(force: boolean): Promise<void> };
}

/** By a name that the compiler does not follow: where it is not installed the rest of the benches compiles. */
const library: string = "bullmq";

/** A `Worker` for each worker: as many connections as it takes by itself. */
const bullMq: QueuePeer = {
  name: "BullMQ",
  async add({ port, queue: name }, jobs) {
    const { Queue } = (await import(library)) as BullMq;
    const queue = new Queue(name, { connection: { host: "127.0.0.1", port } });
    for (let from = 0; from < jobs; from += 500) {
      const data = Array.from({ length: Math.min(500, jobs - from) }, () => ({ name: "job", data: { value } }));
      await queue.addBulk(data.map((job) => ({ ...job, opts: { removeOnComplete: true } })));
    }
    await queue.close();
  },
  async work({ port, queue: name }, workers, onDone) {
    const { Worker } = (await import(library)) as BullMq;
    const started = Array.from({ length: workers }, () => {
      const worker = new Worker(name, async () => {}, { connection: { host: "127.0.0.1", port }, concurrency: 1 });
      worker.on("completed", onDone);
      return worker;
    });
    return async () => {
      await Promise.all(started.map((worker) => worker.close(true)));
    };
  },
};

export const queuePeers: readonly QueuePeer[] = [ours, bullMq];
