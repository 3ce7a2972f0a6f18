/**
 * Registers a service, keeps it in the list for three seconds, and leaves.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/register.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ServiceRegister } from "etcd-recipes";

const server = new ServiceRegister("/publictest/pipeline/m1", "10.0.0.1:8080", 5);
server.on("lost", (error) => console.log(`lost: ${error.message}; it is being put back`));
server.on("registered", ({ revision }) => console.log(`registered at revision ${revision}`));

await server.ready;
await sleep(3_000); // a real service serves here until it is stopped
await server.close();
console.log(`${server.key} is ${server.status}`);
