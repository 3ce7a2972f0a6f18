/**
 * Runs a long step of a pipeline and cancels it from elsewhere.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/cancel.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Cancellation } from "etcd-recipes";

const runId = `run-${Date.now()}`; // an id names one attempt
const runner = new Cancellation("/pipeline/cancel/");
const canceller = new Cancellation("/pipeline/cancel/"); // in a real pipeline, in another process
await runner.ready;

const signal = runner.signal(runId);
const step = sleep(60_000, undefined, { signal }).catch(() => console.log((signal.reason as Error).message));
await sleep(500);
const first = await canceller.cancel(runId, "superseded");
await step;
const second = await canceller.cancel(runId, "too late");
console.log(`cancelled by the first call: ${first}, by the second: ${second}`);

runner.release(runId);
await runner.close();
await canceller.close();
