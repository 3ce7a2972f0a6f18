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
produce().catch(ended);
work().catch(ended);
await Promise.all([server.ready, services.ready]);
console.log(`http://${address}/metrics`);

/** Calls a peer, or itself, and leaves a job. */
async function produce(): Promise<void> {
  for (;;) {
    await services.call((peer, signal) => fetch(`http://${peer.address}/`, { signal }), { attempts: 2 });
    await queue.enqueue(`asked at ${new Date().toISOString()}`);
    await sleep(250);
  }
}

async function work(): Promise<void> {
  for (;;) {
    const job = await queue.dequeue();
    await mutex.run(() => sleep(20));
    await job.ack();
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
