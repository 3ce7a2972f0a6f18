/**
 * A scheduler: stands for election, and while it leads it takes tasks and hands each to a master.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/engine/scheduler/scheduler.js --id scheduler-1
 *
 *     GET /health   200 as long as it runs
 *     GET /stats    whether it leads, and how many events of each kind it has logged
 *
 * Followers announce themselves by their candidate key, whose lease they renew, and take over in order.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Confirmation, LeaderElection, reachableAddress, SubscribeService, type Term } from "etcd-recipes";
import { aborted } from "../shared/aborted.ts";
import { DetachedLease } from "../shared/detached-lease.ts";
import { logger } from "../shared/events.ts";
import { serveJson } from "../shared/json-server.ts";
import { keys } from "../shared/keys.ts";
import { PipelineSignals } from "../shared/pipeline-signals.ts";
import { runProgram } from "../shared/program.ts";
import { openSource } from "../tasks/open-source.ts";
import { dispatch } from "./dispatcher.ts";
import { readSchedulerOptions, type SchedulerOptions, schedulerUsage } from "./scheduler-options.ts";
import { Slots } from "./slots.ts";
import { StatusReport } from "./status-report.ts";

async function runScheduler(options: SchedulerOptions, stopping: AbortSignal): Promise<void> {
  const { id, redis, balancer, zone, ttlSeconds, renewEverySeconds } = options;
  const counts: Record<string, number> = {};
  const say = logger(id, options.json);
  const log: typeof say = (event, details) => {
    counts[event] = (counts[event] ?? 0) + 1;
    say(event, details);
  };

  await using services = new SubscribeService(keys.masters, { balancer, ...(zone !== undefined && { zone }) });
  await using election = new LeaderElection(keys.leader, id, { ttlSeconds, renewEverySeconds });
  await using pipelines = new PipelineSignals(log);
  await using confirmation = new Confirmation(keys.confirmations);
  confirmation.on("warning", (error) => log("warning", { reason: error.message }));
  const recordLease = new DetachedLease();
  services
    .on("put", ({ id: master, address, weight, draining }) => log("listed", { master, address, weight, draining }))
    .on("delete", ({ id: master }) => log("unlisted", { master }))
    .on("invalid", (key, error) => log("warning", { key, reason: error.message }))
    .on("warning", (error) => log("warning", { reason: error.message }));
  election
    .on("elected", ({ token }) => log("elected", { token }))
    .on("lost", (error) => log("lost", { reason: error.message }))
    .on("resigned", () => log("resigned"))
    .on("overdue", ({ token }) => log("overdue", { token }))
    .on("leader", (leader) => log("leader", { candidate: leader?.candidate, token: leader?.token }))
    .on("warning", (error) => log("warning", { reason: error.message }));

  const server = await serveJson(options.host, options.port, {
    "GET /health": () => ({ status: 200, body: { id } }),
    "GET /stats": () => ({ status: 200, body: { id, token: election.term?.token, counts } }),
  });
  const address = reachableAddress(server.address(), options.host);
  log("started", { address, tasks: redis === undefined ? "etcd" : "redis" });

  const lead = async (term: Term) => {
    // A cancellation that came before must be known before a task begins.
    await Promise.race([pipelines.ready, aborted(term.signal)]);
    await using _report = new StatusReport(term, () => ({ id, counts }), log);
    await using source = openSource({ redis, consumer: id, ttlSeconds }, log);
    await dispatch(source, {
      ...options,
      term,
      services,
      pipelines,
      confirmation,
      recordLease,
      slots: new Slots(options.concurrency),
      stopping,
      log,
    });
  };

  const stop = async () => {
    await aborted(stopping);
    // A leader finishes what it has, and resigns when dispatch() returns; who only waits leaves the line at once.
    if (election.term) await Promise.race([once(election, "lost"), sleep(options.drainSeconds * 1_000)]);
    await election.close();
  };
  void stop();
  try {
    await election.lead(lead);
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
  log("left");
}

await runProgram({ usage: schedulerUsage, readOptions: readSchedulerOptions, run: runScheduler });
