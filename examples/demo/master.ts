/**
 * A master of the pipeline: a process that serves HTTP on a port of its own and stands in the list as long as it lives.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/demo/master.js master-1
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ServiceRegister } from "etcd-recipes";

const [, , id] = process.argv;
if (id === undefined) throw new Error("usage: master.js <id>");

const server = createServer(async (_request, response) => {
  await sleep(20 + Math.random() * 40); // the work
  response.setHeader("content-type", "application/json").end(JSON.stringify({ by: id }));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;

const registration = new ServiceRegister(`/publictest/pipeline/${id}`, `127.0.0.1:${port}`, 5);
registration.on("registered", () => console.log("registered, on a lease of 5 s"));
registration.on("lost", (error) => console.log(`lost its registration, registers again: ${error.message}`));
registration.on("warning", (error) => console.log(`warning: ${error.message}`));
registration.on("failed", (error) => {
  console.log(`cannot register: ${error.message}`);
  process.exit(1);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, leave);

// Started by the demo, it must not outlive it, however that ends. The lease then takes the key away.
process.on("disconnect", () => process.exit(1));
process.channel?.unref();

async function leave(): Promise<void> {
  // Out of the list first; who has chosen this master a moment ago still gets an answer.
  await registration.close({ drainMs: 300 });
  server.close();
}
