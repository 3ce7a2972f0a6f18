/**
 * A server of `node:http` that registers after it listens, is asked once by the list, and ends as on SIGTERM: it leaves
 * the list, serves on for a moment, and then closes. serve-express.ts is the same with Express.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/serve.js
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readiness, ServiceRegister, SubscribeService, shutdown } from "etcd-recipes";

const services = new SubscribeService("/svc/greeter/");
const http = createServer((request, response) => {
  response.end(request.url === "/ready" ? String(ready().ready) : "hello");
});
await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
const { port } = http.address() as AddressInfo;
const server = new ServiceRegister("/svc/greeter/g1", `127.0.0.1:${port}`, 5, { weight: 1 });
const ready = readiness(server, services);
shutdown({ recipes: [server, services], servers: [http], drainMs: 500 });

await server.ready;
const ask = (path: string) =>
  services.call(async ({ address }) => (await fetch(`http://${address}${path}`)).text(), { timeoutMs: 5_000 });
console.log(`it says ${await ask("/")}, ready: ${await ask("/ready")}`);
server.on("closed", () => console.log("it has left the list"));
http.on("close", () => console.log("it has closed"));
process.kill(process.pid, "SIGTERM"); // what Kubernetes and systemd do
