// What nodes.mjs runs with each Node on each etcd: registers a service, follows the list, calls it, fetches from it by
// name, takes a lock, does a job. Prints the versions that it ran with.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { EtcdClient, Mutex, Queue, ServiceRegister, SubscribeService } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import { etcd } from "etcd-recipes/undici";

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

  await fetchByName();

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

/**
 * By the `fetch` of this Node, with an agent of the undici that it has in itself. One of the two servers is not there.
 */
async function fetchByName() {
  const { Agent, setGlobalDispatcher } = await import(process.versions.undici.startsWith("6.") ? "undici" : "undici-7");
  const http = createServer((_request, response) => response.end("hello"));
  await once(http.listen(0, "127.0.0.1"), "listening");
  const addresses = [`127.0.0.1:${http.address().port}`, "127.0.0.1:1"];
  const servers = addresses.map((address, index) => new ServiceRegister(`/svc/shop/${index}`, address, 5, { client }));
  const shop = new SubscribeService("/svc/shop/", { client });
  await Promise.all([...servers, shop].map(({ ready }) => ready));
  await shop.until((list) => list.length === 2);
  const agent = new Agent();
  setGlobalDispatcher(agent.compose(etcd({ shop })));
  for (let time = 0; time < 20; time++) assert.equal(await (await fetch("http://shop/")).text(), "hello");
  await Promise.all([...servers, shop].map((recipe) => recipe.close()));
  await agent.close();
  http.close();
}
