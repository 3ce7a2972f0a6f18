/**
 * Asks for two confirmations: one is approved, the other gets no decision.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/confirm.js
 */
import { AlreadyDecidedError, Confirmation } from "etcd-recipes";
import { printable } from "./printable.ts";

const run = `run-${Date.now()}`; // ids are one-shot
const requester = new Confirmation("/pipeline/confirm/");
const approver = new Confirmation("/pipeline/confirm/"); // in a real pipeline, in another process

approver.on("requested", ({ id }) => {
  if (id === `${run}/deploy`) void approver.approve(id, "alice");
});
await approver.ready;

const deploy = await requester.request(`${run}/deploy`, { timeoutSeconds: 3600 });
console.log(printable(`deploy: ${deploy.decision} by ${deploy.by}`));

const cleanUp = await requester.request(`${run}/clean-up`, { timeoutSeconds: 1 });
console.log(`clean-up: ${cleanUp.decision}`);
try {
  await approver.approve(`${run}/clean-up`, "bob");
} catch (error) {
  if (!(error instanceof AlreadyDecidedError)) throw error;
  console.log(`bob is too late: ${error.result.decision}`);
}

await requester.close();
await approver.close();
