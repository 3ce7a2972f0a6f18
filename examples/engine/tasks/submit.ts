/**
 * Submits a pipeline, and ends when all its tasks are queued.
 *
 *     node build/examples/engine/tasks/submit.js --pipeline nightly-1 --tasks 20 --projects 4 --duration 500
 */
import { parseArgs } from "node:util";
import { InvalidOptionError } from "etcd-recipes";
import { logger } from "../shared/events.ts";
import { readId, readRedisUrl, readWhole } from "../shared/flags.ts";
import { runProgram } from "../shared/program.ts";
import { openSource } from "./open-source.ts";
import { MalformedTaskError, parseTask, type Task } from "./task.ts";

const usage = `submit.js --pipeline <id> [--<option> <value>]…

Submits a pipeline: so many tasks, <id>/1 and on, of some projects in turn.

  --tasks <number>      (10)
  --projects <number>   (3)
  --duration <ms>       how long each takes  (200)
  --confirm <seconds>   the last one must be approved within this time
  --redis <url>         to Redis  (REDIS_URL; without it to the queue in etcd)
  --json                one JSON object for each event

ETCD_ENDPOINTS names the etcd.`;

interface SubmitOptions {
  readonly redis: string | undefined;
  readonly tasks: readonly Task[];
  readonly json: boolean;
}

function readOptions(args: readonly string[]): SubmitOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pipeline: { type: "string" },
      tasks: { type: "string", default: "10" },
      projects: { type: "string", default: "3" },
      duration: { type: "string", default: "200" },
      confirm: { type: "string" },
      redis: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const pipelineId = readId("submit", "pipeline", values.pipeline);
  const count = readWhole("submit", "tasks", values.tasks, 1);
  const projects = readWhole("submit", "projects", values.projects, 1);
  const durationMs = readWhole("submit", "duration", values.duration);
  const confirmWithinSeconds =
    values.confirm === undefined ? undefined : readWhole("submit", "confirm", values.confirm, 1);
  const tasks = Array.from(
    { length: count },
    (_, index): Task => ({
      id: `${pipelineId}/${index + 1}`,
      pipelineId,
      project: `proj-${(index % projects) + 1}`,
      durationMs,
      ...(confirmWithinSeconds !== undefined && index === count - 1 && { confirmWithinSeconds }),
    }),
  );
  for (const task of tasks) check(task);
  return { redis: readRedisUrl("submit", values.redis), tasks, json: values.json };
}

/** @throws InvalidOptionError for what would be a dead letter */
function check(task: Task): void {
  try {
    parseTask(JSON.stringify(task));
  } catch (error) {
    if (!(error instanceof MalformedTaskError)) throw error;
    throw new InvalidOptionError("submit", "task", `${task.id}: ${error.message}`);
  }
}

async function submit({ redis, tasks, json }: SubmitOptions, stopping: AbortSignal): Promise<void> {
  const log = logger("submit", json);
  await using source = openSource({ redis, consumer: "submit", ttlSeconds: 10 }, log);
  await source.submit(tasks, stopping);
  log("submitted", { tasks: tasks.length, queued: await source.size() });
}

await runProgram({ usage, readOptions, run: submit });
