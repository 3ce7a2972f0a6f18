import type { Log } from "../shared/events.ts";
import { EtcdTasks } from "./etcd-tasks.ts";
import { RedisTasks } from "./redis-tasks.ts";
import type { TaskSource } from "./task-source.ts";

export interface OpenSourceOptions {
  /** Undefined: the queue in etcd. */
  readonly redis: string | undefined;
  /** Who takes tasks from it, as Redis shows it. */
  readonly consumer: string;
  /** How long the tasks of a dead leader stay away from the next one, in the queue in etcd. */
  readonly ttlSeconds: number;
}

export function openSource({ redis, consumer, ttlSeconds }: OpenSourceOptions, log: Log): TaskSource {
  return redis === undefined ? new EtcdTasks(ttlSeconds, log) : new RedisTasks(redis, consumer, log);
}
