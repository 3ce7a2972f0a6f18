// `fastify-app.mjs RECIPES DOOR KEY`: a Fastify app that registers under KEY, and follows where it stands. It prints
// its address once it is registered.
import { createRequire } from "node:module";

const [, , , door, key] = process.argv;
const { etcdRecipes } = await import(door);
const app = createRequire(import.meta.url)("fastify")();
const peers = key.slice(0, key.lastIndexOf("/"));
await app.register(etcdRecipes, { key, ttlSeconds: 2, subscribe: { peers }, drainMs: 300, timeoutMs: 10_000 });
app.get("/work", async () => {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return { peers: app.services.peers.list().length };
});
await app.listen({ port: 0, host: "127.0.0.1" });
await app.etcd.registration.ready;
console.log(app.server.address().port);
