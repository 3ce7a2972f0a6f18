/**
 * Calls services by a strategy that measures them; one of them fails, is left out, and the calls go on.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/call.js
 */
import { type ServiceInstance, ServiceRegister, SubscribeService } from "etcd-recipes";
import { printable } from "./printable.ts";

const addresses = ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"];
const servers = addresses.map(
  (address, index) => new ServiceRegister(`/publictest/called/m${index}`, address, 5, { lease: "shared" }),
);
const services = new SubscribeService("/publictest/called/", { outlierDetection: { consecutiveFailures: 3 } });
services.on("ejected", ({ id }, { reason, forMs }) =>
  console.log(printable(`${id} is left out for ${forMs} ms: ${reason}`)),
);
await services.until((list) => list.length === servers.length);

// In a program of yours: fetch(`http://${server.address}/run`, { signal }), and throw when the answer's status is 500
// or more.
async function send({ id }: ServiceInstance): Promise<string> {
  if (id === "m1") throw new Error("connection refused");
  return id;
}

const answered = new Map<string, number>();
for (let call = 0; call < 60; call++) {
  const id = await services.call(send, { attempts: 2, timeoutMs: 5_000 });
  answered.set(id, (answered.get(id) ?? 0) + 1);
}
console.log(
  `${[...answered.values()].reduce((sum, count) => sum + count)} calls were answered by ${answered.size} servers`,
);

const staying = services.view({ draining: false });
console.log(
  staying
    .list()
    .map(({ id, ejected }) => `${printable(id)}${ejected ? ", left out" : ""}`)
    .join("; "),
);

await services.close();
await Promise.all(servers.map((server) => server.close()));
