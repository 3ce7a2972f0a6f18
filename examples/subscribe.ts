/**
 * Follows the list of services for five seconds. Run examples/register.ts beside it to see one come and go.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/subscribe.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { SubscribeService } from "etcd-recipes";
import { printable } from "./printable.ts";

const services = new SubscribeService("/publictest/pipeline/");
services.on("put", ({ id, address }) => console.log(printable(`+ ${id} at ${address}`)));
services.on("delete", ({ id }) => console.log(printable(`- ${id}`)));
services.on("change", (list) => console.log(`the list has ${list.length} services`));

await services.ready;
await sleep(5_000); // a real scheduler calls services.pick() here, for each request
await services.close();
