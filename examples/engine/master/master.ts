/**
 * A master: does the tasks that it is given, as long as it stands in the list.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/engine/master/master.js --id master-1
 *
 *     POST /run     a task; answered when it is done, failed or cancelled; 503 while it drains
 *     GET /health   200 while it takes tasks, else 503
 *     GET /stats    what it has in hand and what it has done
 */
import { once } from "node:events";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { reachableAddress, ServiceRegister } from "etcd-recipes";
import { aborted } from "../shared/aborted.ts";
import { logger } from "../shared/events.ts";
import { type JsonRequest, serveJson } from "../shared/json-server.ts";
import { keys } from "../shared/keys.ts";
import { PipelineSignals } from "../shared/pipeline-signals.ts";
import { runProgram } from "../shared/program.ts";
import { MalformedTaskError, parseTask } from "../tasks/task.ts";
import { Caches } from "./caches.ts";
import { type MasterOptions, masterUsage, readMasterOptions } from "./master-options.ts";
import { TaskRunner } from "./task-runner.ts";

/** An etcd that is away must not keep a master from leaving. */
const markLimitMs = 1_000;

async function runMaster(options: MasterOptions, stopping: AbortSignal): Promise<void> {
  const { id, dir, host, zone, weight } = options;
  const log = logger(id, options.json);
  await using caches = await Caches.open(join(dir, "caches"), options.cacheTtlSeconds, log);
  await using pipelines = new PipelineSignals(log);
  const runner = new TaskRunner({ id, doneLog: join(dir, "done.log"), caches, pipelines, log });
  // Else it could begin a task that was cancelled long ago.
  await Promise.race([pipelines.ready, aborted(stopping)]);

  const server = await serveJson(host, options.port, {
    "POST /run": (request) => runTask(runner, request, stopping),
    "GET /health": () => ({ status: stopping.aborted ? 503 : 200, body: { id, status: registration.status } }),
    "GET /stats": () => {
      const { running, callers, counts } = runner;
      return { status: 200, body: { id, zone, weight, draining: stopping.aborted, running, callers, ...counts } };
    },
  });
  const address = reachableAddress(server.address(), options.address, "master");
  const registration = new ServiceRegister(keys.masters + id, address, options.ttlSeconds, {
    metadata: { zone },
    weight,
    health: () => isWritable(dir),
  });
  registration
    .on("registered", () => log("registered", { address, zone, weight }))
    .on("lost", (error) => log("lost", { reason: error.message }))
    .on("warning", (error) => log("warning", { reason: error.message }));

  await Promise.race([aborted(stopping), untilFailed(registration)]);

  // From here on it takes nothing new. First it drains, so that schedulers leave it out, then it finishes what it has,
  // then it leaves.
  log("draining", { running: runner.running.length });
  const marked = registration.update({ draining: true }).catch(() => {});
  await Promise.race([marked, sleep(markLimitMs)]);
  await Promise.race([runner.untilIdle(), sleep(options.drainSeconds * 1_000)]);
  await registration.close();
  server.close();
  log("left", { running: runner.running.length });
}

async function runTask(runner: TaskRunner, { body, signal }: JsonRequest, stopping: AbortSignal) {
  if (stopping.aborted) return { status: 503, body: { reason: "it drains" } };
  try {
    return { status: 200, body: await runner.run(parseTask(body), signal) };
  } catch (error) {
    const status = error instanceof MalformedTaskError ? 400 : 500;
    return { status, body: { reason: (error as Error).message } };
  }
}

function isWritable(dir: string): Promise<boolean> {
  return access(dir, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** @throws what no retry gets over, a missing permission for instance */
async function untilFailed(registration: ServiceRegister): Promise<never> {
  const [error] = await once(registration, "failed");
  throw error;
}

await runProgram({ usage: masterUsage, readOptions: readMasterOptions, run: runMaster });
