// A server in a process of its own, registered in etcd: `registered-server.mjs RECIPES KIND KEY`, where RECIPES is the
// URL of the built package and KIND is grpc or http. It prints its address once it is registered. SIGTERM ends it as it
// should be: it drains, leaves, and finishes what it has.
import { createServer } from "node:http";

const [, , recipes, kind, key] = process.argv;
const { ServiceRegister } = await import(recipes);

/** Seen in each answer, so that a test knows who gave it. */
const name = key.split("/").at(-1);

async function serveGrpc() {
  // biome-ignore lint/style/noRestrictedImports: the package that the door is for
  const grpc = await import("@grpc/grpc-js");
  const raw = (bytes) => bytes;
  const service = { path: "/test.Echo/Say", requestStream: false, responseStream: false };
  const codec = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
  const server = new grpc.Server();
  // A moment of work: whatever ends the process meets calls that are under way.
  const say = (_call, callback) => {
    lastCall = performance.now();
    setTimeout(() => callback(null, Buffer.from(name)), 2);
  };
  let lastCall = 0;
  server.addService({ say: { ...service, ...codec } }, { say });
  const port = await new Promise((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  const close = async () => {
    // Clients that have not seen yet that it drains would call it while it closes, which resets their connections.
    while (performance.now() - lastCall < 150) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => server.tryShutdown(resolve));
  };
  return { port, close };
}

async function serveHttp() {
  let failing = 0;
  const server = createServer((request, response) => {
    // `/fail?times=2`: the next two requests to this server are answered with 503.
    const url = new URL(request.url, "http://any");
    if (url.pathname === "/fail") failing = Number(url.searchParams.get("times"));
    else if (failing > 0) {
      failing--;
      response.statusCode = 503;
    }
    request.resume().on("end", () => {
      const answer = JSON.stringify({ name, host: request.headers.host, method: request.method });
      // A moment of work: whatever ends the process meets requests that are under way.
      setTimeout(() => response.end(answer), 1);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeIdleConnections();
    });
  return { port: server.address().port, close };
}

const { port, close } = await (kind === "grpc" ? serveGrpc() : serveHttp());
const server = new ServiceRegister(key, `127.0.0.1:${port}`, 2, { weight: 3, metadata: { zone: "a" } });
await server.ready;
console.log(`127.0.0.1:${port}`);
process.once("SIGTERM", async () => {
  await server.close({ drainMs: 200 });
  await close();
  process.exit(0);
});
