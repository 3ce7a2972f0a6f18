import { parseArgs } from "node:util";
import type { BalancerName } from "etcd-recipes";
import { readId, readNumber, readRedisUrl, readWhole } from "../shared/flags.ts";

export const schedulerUsage = `scheduler.js --id <id> [--<option> <value>]…

Stands for election; the one that leads takes tasks and hands each to a master.

  --redis <url>              takes them from Redis  (REDIS_URL; without it from a queue in etcd)
  --balancer <name>          how a master is chosen  (least-requests)
  --zone <name>              prefers masters in this zone
  --ttl <seconds>            how long its candidacy outlives it  (60)
  --renew <seconds>          how often it announces itself  (half of that)
  --concurrency <number>     how many tasks are with masters at the same time  (16)
  --max-failures <number>    how often a task may fail before it is a dead letter; while no master
                             can be reached it waits  (5)
  --attempts <number>        how many masters are tried before that counts as a failure  (3)
  --task-timeout <seconds>   how long a task may take, on all of them  (3600)
  --drain <seconds>          how long it waits for what is with masters when it is asked to stop  (60)
  --host, --port             where it serves GET /health and GET /stats  (127.0.0.1, any free port)
  --json                     one JSON object for each event

ETCD_ENDPOINTS names the etcd.`;

export interface SchedulerOptions {
  readonly id: string;
  readonly redis: string | undefined;
  /** Checked by SubscribeService. */
  readonly balancer: BalancerName;
  readonly zone: string | undefined;
  readonly ttlSeconds: number;
  readonly renewEverySeconds: number;
  readonly concurrency: number;
  readonly maxFailures: number;
  readonly attempts: number;
  readonly taskTimeoutMs: number;
  readonly drainSeconds: number;
  readonly host: string;
  readonly port: number;
  readonly json: boolean;
}

const numbers = {
  ttl: "60",
  renew: undefined,
  concurrency: "16",
  "max-failures": "5",
  attempts: "3",
  "task-timeout": "3600",
  drain: "60",
  port: "0",
} as const;

/** What a timer can wait. */
const longestTimeoutSeconds = Math.floor((2 ** 31 - 1) / 1_000);

/** @throws InvalidOptionError, or the error of `parseArgs`, that names the flag */
export function readSchedulerOptions(args: readonly string[]): SchedulerOptions {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      id: text,
      redis: text,
      balancer: text,
      zone: text,
      host: text,
      ttl: text,
      renew: text,
      concurrency: text,
      "max-failures": text,
      attempts: text,
      "task-timeout": text,
      drain: text,
      port: text,
      json: { type: "boolean", default: false },
    },
  });
  const number = (flag: keyof typeof numbers, least = 0, most?: number) =>
    readNumber("scheduler", flag, values[flag] ?? numbers[flag] ?? "", least, most);
  const whole = (flag: keyof typeof numbers, least = 0) =>
    readWhole("scheduler", flag, values[flag] ?? numbers[flag] ?? "", least);
  const ttlSeconds = number("ttl", 1);
  return {
    id: readId("scheduler", "id", values.id),
    redis: readRedisUrl("scheduler", values.redis),
    balancer: (values.balancer ?? "least-requests") as BalancerName,
    zone: values.zone,
    ttlSeconds,
    renewEverySeconds: values.renew === undefined ? ttlSeconds / 2 : number("renew"),
    concurrency: whole("concurrency", 1),
    maxFailures: whole("max-failures", 1),
    attempts: whole("attempts", 1),
    taskTimeoutMs: number("task-timeout", 1, longestTimeoutSeconds) * 1_000,
    drainSeconds: number("drain"),
    host: values.host ?? "127.0.0.1",
    port: whole("port"),
    json: values.json,
  };
}
