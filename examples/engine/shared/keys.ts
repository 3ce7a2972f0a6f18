/** Where the engine's things stand in etcd. */
export const keys = {
  /** One key for each master that serves. */
  masters: "/publictest/pipeline/",
  /** The election of the schedulers. */
  leader: "/leader",
  /** What the leader is about: written by it every second, under its term. */
  status: "/publictest/scheduler",
  /** One key for each project that has a build cache, on whichever machines. */
  caches: "cache/",
  /** The queue of tasks, when it is not in Redis. */
  tasks: "/publictest/tasks",
  /** What became of each task: written by the leader, under its term. */
  progress: "/publictest/progress/",
  /** Which master did a task: written by that master. */
  results: "/publictest/results/",
  /** Tasks out of the queue in etcd that cannot be done, and why. */
  deadLetters: "/publictest/dead-letters/",
  cancellations: "/pipeline/cancel/",
  confirmations: "/pipeline/confirm/",
} as const;

/** Where the tasks stand in Redis. */
export const redisKeys = {
  tasks: "publictest:tasks",
  group: "schedulers",
  deadLetters: "publictest:dead-letters",
} as const;
