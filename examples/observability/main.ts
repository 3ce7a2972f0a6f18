/**
 * A service that Prometheus scrapes: it registers itself, calls its peers, takes jobs under a lock, and one of all runs
 * leads. `GET /metrics` has the metrics, `GET /ready` says whether it can take requests. SIGTERM ends it in order.
 *
 *     PORT=9464 ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/observability/main.js
 *     prometheus --config.file=examples/observability/prometheus.yml
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ClientClosedError,
  defaultClient,
  LeaderElection,
  Mutex,
  Queue,
  readiness,
  ServiceRegister,
  SubscribeService,
  shutdown,
} from "etcd-recipes";
import { startMetrics } from "etcd-recipes/metrics";

// Before all that it measures.
const metrics = startMetrics();

const http = createServer((request, response) => {
  if (request.url === "/metrics") {
    response.setHeader("content-type", metrics.contentType).end(metrics.text());
  } else if (request.url === "/ready") {
    const { ready, reasons } = isReady();
    response.writeHead(ready ? 200 : 503).end(JSON.stringify(reasons));
  } else response.end("hello\n");
});
const address = await listen(http, Number(process.env.PORT ?? 9464));

const server = new ServiceRegister(`/observed/services/${address}`, address, 5);
const services = new SubscribeService("/observed/services/", { outlierDetection: {} });
const isReady = readiness(server, services);
const election = new LeaderElection("/observed/leader", address, { ttlSeconds: 5 });
const mutex = new Mutex("/observed/lock");
const queue = new Queue("/observed/jobs");
shutdown({ recipes: [server, services, election, mutex, queue, defaultClient()], servers: [http], drainMs: 500 });

election.lead((term) => untilAborted(term.signal)).catch(ended);
void repeat(produce);
void repeat(work);
await Promise.all([server.ready, services.ready]);
console.log(`http://${address}/metrics`);

/** Until the recipes are closed. What fails, such as in an outage of etcd, is logged, and done anew after a pause. */
async function repeat(step: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await step();
    } catch (error) {
      if (error instanceof ClientClosedError) return;
      console.error("%s: %s", step.name, (error as Error).message);
      await sleep(1_000);
    }
  }
}

/** Calls a peer, or itself, and leaves a job. */
async function produce(): Promise<void> {
  await services.call((peer, signal) => fetch(`http://${peer.address}/`, { signal }), { attempts: 2 });
  await queue.enqueue(`asked at ${new Date().toISOString()}`);
  await sleep(250);
}

async function work(): Promise<void> {
  const job = await queue.dequeue();
  try {
    await mutex.run(() => sleep(20));
    await job.ack();
  } catch (error) {
    // One that is still this worker's would stay in its hands.
    if (!job.signal.aborted) await job.release();
    throw error;
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A recipe was closed: the process is about to end. */
function ended(error: Error): void {
  if (isReady().ready) throw error;
}

function listen(on: Server, port: number): Promise<string> {
  return new Promise((resolve) => {
    on.listen(port, "127.0.0.1", () => resolve(`127.0.0.1:${(on.address() as AddressInfo).port}`));
  });
}
