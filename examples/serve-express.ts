/**
 * The same as serve.ts with an app of Express, and a middleware that answers `/ready`.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/serve-express.js
 */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { readiness, ServiceRegister, SubscribeService, shutdown } from "etcd-recipes";
import express from "express";

const services = new SubscribeService("/svc/shop/");
const app = express();
app.get("/", (_request, response) => void response.send("hello"));
const http = app.listen(0, "127.0.0.1");
await once(http, "listening");
const { port } = http.address() as AddressInfo;
const server = new ServiceRegister("/svc/shop/s1", `127.0.0.1:${port}`, 5, { weight: 1 });
const ready = readiness(server, services);
app.get("/ready", (_request, response) => {
  const state = ready();
  response.status(state.ready ? 200 : 503).json(state);
});
shutdown({ recipes: [server, services], servers: [http], drainMs: 500 });

await server.ready;
const ask = (path: string) =>
  services.call(async ({ address }) => (await fetch(`http://${address}${path}`)).text(), { timeoutMs: 5_000 });
console.log(`it says ${await ask("/")}, ready: ${await ask("/ready")}`);
server.on("closed", () => console.log("it has left the list"));
http.on("close", () => console.log("it has closed"));
process.kill(process.pid, "SIGTERM"); // what Kubernetes and systemd do
