// What nodes.mjs runs with each Node on each etcd: registers a service, follows the list, calls it, takes a lock, does a job.
// Prints the versions that it ran with.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { EtcdClient, Mutex, Queue, ServiceRegister, SubscribeService } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";

const { errorCodes } = createRequire(import.meta.url)("etcd-recipes");
assert.ok(errorCodes.length > 0);

const cluster = await startEtcd();
const client = new EtcdClient({ endpoints: cluster.endpoints });
try {
  const registration = new ServiceRegister("/svc/orders/1", "10.0.0.1:8080", 5, { client });
  await registration.ready;
  const services = new SubscribeService("/svc/orders/", { client });
  await services.ready;
  assert.equal(await services.call(async (server) => server.address), "10.0.0.1:8080");

  const mutex = new Mutex("/lock", { client });
  const lock = await mutex.acquire();
  await lock.release();

  const queue = new Queue("/jobs", { client });
  await queue.enqueue("work");
  const job = await queue.dequeue();
  assert.equal(job.value, "work");
  await job.ack();

  await Promise.all([queue, mutex, services, registration].map((recipe) => recipe.close()));
  const { version } = await client.status();
  console.log(`Node ${process.version}, etcd ${version}`);
} finally {
  await client.close();
  await cluster.close();
}
