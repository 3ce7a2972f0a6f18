/**
 * Puts jobs into a queue, and works on them: one of them fails until its attempts are used up.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/queue.js
 */
import { randomUUID } from "node:crypto";
import { type Job, Queue } from "etcd-recipes";
import { printable } from "./printable.ts";

const queue = new Queue(`/publictest/jobs/${randomUUID()}`, { maxAttempts: 2 });
queue.on("dead", ({ id, attempts }) => console.log(printable(`${id} is given up after ${attempts} attempts`)));

await queue.enqueueMany(["build proj-1", "build proj-2"]);
await queue.enqueue("poison", { id: "proj-3" });
console.log(`${await queue.size()} jobs`);

for (let count = 0; count < 4; count++) {
  const job = await queue.dequeue({ visibilitySeconds: 60 });
  await work(job);
}
for (const { id, value } of await queue.deadLetters()) {
  console.log(printable(`dead letter: ${value}`));
  await queue.discard(id); // or putBack(id), when what was wrong is mended
}
await queue.close();
console.log("closed");

async function work(job: Job): Promise<void> {
  // A real worker hands job.signal to whatever it starts: it aborts when the job is no longer its own.
  console.log(printable(`${job.value}, attempt ${job.attempt}`));
  if (job.value === "poison") await job.release();
  else await job.ack();
}
