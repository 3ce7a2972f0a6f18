import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { viewOf } from "../../support/etcd-view.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** What an ingress does while its etcd is away: it speaks HTTP/2 on etcd's port, and knows of no gRPC. */
async function startIngress(port: number, status: number): Promise<{ asked(): number; stop(): Promise<void> }> {
  const server: Http2Server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  let asked = 0;
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    asked++;
    stream.on("error", () => {});
    stream.respond({ ":status": status, "content-type": "text/html" });
    stream.end("<h1>not here</h1>");
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    for (const session of sessions) session.destroy();
    server.close();
    await once(server, "close");
  };
  return { asked: () => asked, stop };
}

for (const status of [404, 503]) {
  test(`an ingress that answers ${status} for a while ends nothing`, async () => {
    const prefix = lab.newPrefix();
    const client = lab.client({ requestTimeoutMs: 1_000 });
    const before = lab.register(`${prefix}before`, "10.0.0.1:80", 2, { client });
    await before.ready;
    const services = lab.subscribe(prefix, { client });
    await services.ready;
    await lab.cluster.kill();
    const ingress = await startIngress(Number(new URL(lab.endpoint).port), status);
    const meanwhile = lab.register(`${prefix}meanwhile`, "10.0.0.2:80", 2, { client });
    // Through a client of its own: one that shares the mirror of the other would have its list.
    const late = lab.subscribe(prefix, { client: lab.client({ requestTimeoutMs: 1_000 }) });
    await until(() => ingress.asked() > 20, { timeoutMs: 20_000 });
    await until(() => before.status === "recovering");
    expect([meanwhile.status, services.status, late.status]).toEqual(["registering", "stale", "connecting"]);
    await ingress.stop();
    await lab.cluster.restart();
    await Promise.all([meanwhile.ready, late.ready]);
    await until(() => before.status === "registered", { timeoutMs: 20_000 });
    expect(await viewOf(lab.etcd, prefix)).toEqual({ before: "10.0.0.1:80", meanwhile: "10.0.0.2:80" });
    for (const list of [services, late]) {
      await list.until((instances) => addressesOf(instances).join() === "10.0.0.1:80,10.0.0.2:80");
    }
  });
}
