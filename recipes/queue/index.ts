export type { DeadLetter } from "./dead-letters.ts";
export type { Job, ReleaseOptions, SettleOptions } from "./job.ts";
export type { DequeueOptions, EnqueueManyOptions, EnqueueOptions, QueueCallOptions, QueueOptions } from "./options.ts";
export type { Enqueued } from "./producer.ts";
export { Queue, type QueueEvents } from "./queue.ts";
