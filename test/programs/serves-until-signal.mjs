// A server with one of everything, that ends by `shutdown()`, and prints each step of it.
// argv: { endpoint, name, drainMs, timeoutMs }. GET /slow answers after 300 ms, /hangs never, /ready by readiness().
import { createServer } from "node:http";
import {
  EtcdClient,
  LeaderElection,
  Mutex,
  readiness,
  ServiceRegister,
  SubscribeService,
  shutdown,
} from "etcd-recipes";

const { endpoint, name, drainMs, timeoutMs } = JSON.parse(process.argv[2]);
const client = new EtcdClient({ endpoints: endpoint });

/** Prints when it is closed, and when that is done. */
function shown(what, it) {
  const close = it.close.bind(it);
  it.close = async (...args) => {
    console.log(`${what} closes`);
    await close(...args);
    console.log(`${what} closed`);
  };
  return it;
}

const http = createServer((request, response) => {
  if (request.url === "/hangs") return console.log("hangs");
  if (request.url === "/ready") return response.end(JSON.stringify(ready()));
  if (request.url !== "/slow") return response.end("ok");
  console.log("slow begins");
  setTimeout(() => {
    response.end("ok");
    console.log("slow ends");
  }, 300);
});
http.on("close", () => console.log("server closed"));
await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
const address = `127.0.0.1:${http.address().port}`;

const services = shown("list", new SubscribeService(`${name}/services/`, { client }));
const election = shown("election", new LeaderElection(`${name}/leader`, address, { client, ttlSeconds: 5 }));
const mutex = shown("mutex", new Mutex(`${name}/locks/${address}`, { client, ttlSeconds: 5 }));
const server = shown(
  "registration",
  new ServiceRegister(`${name}/services/${address}`, address, 5, { client, weight: 1 }),
);
const ready = readiness(server, services, client);
if (ready().ready) console.log("ready too early");
election.lead((term) => new Promise((resolve) => term.signal.addEventListener("abort", resolve))).catch(() => {});
await Promise.all([services.ready, server.ready, mutex.acquire()]);

process.on("exit", (code) => console.log(`exit ${code}`));
shutdown({
  recipes: [shown("client", client), services, mutex, election, server],
  servers: [http],
  drainMs,
  timeoutMs,
});
console.log(address);
