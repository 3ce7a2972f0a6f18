import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Child } from "../../support/child.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function run(source: string, env: NodeJS.ProcessEnv = { ETCD_ENDPOINTS: lab.endpoint }): Child {
  const program = runProgram(source, env);
  lab.also(async () => {
    program.kill();
    await program.ended;
  });
  return program;
}

test("with nothing but key, address and ttl, and a prefix, it works against ETCD_ENDPOINTS, and ends by itself", async () => {
  const program = run(`
    import { ServiceRegister, SubscribeService } from "etcd-recipes";
    const server = new ServiceRegister("/publictest/pipeline/m1", "10.0.0.1:8080", 5);
    const services = new SubscribeService("/publictest/pipeline/");
    const [first] = await services.until((list) => list.length > 0);
    console.log(first.id, first.address, services.pick().key);
    await server.close();
    await services.close();
    console.log("closed");`);
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["m1 10.0.0.1:8080 /publictest/pipeline/m1", "closed"]);
  expect(program.errors).toEqual([]);
});

test("nothing at all happens to a program that never looks at ready, although it fails", async () => {
  const program = run(`
    import { ServiceRegister, SubscribeService, EtcdClient } from "etcd-recipes";
    const client = new EtcdClient();
    const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client });
    const services = new SubscribeService("/svc/", { client });
    const failed = new Promise((resolve) => server.once("failed", resolve));
    await client.close();
    await failed;
    console.log(server.status, services.status);
    new ServiceRegister("/svc/m2", "10.0.0.1:8080", 5, { client });
    new SubscribeService("/svc/", { client });
    server.update({ address: "10.0.0.2:8080" }).catch(() => {});`);
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["failed failed"]);
  expect(program.errors).toEqual([]);
});

const untilSigterm = `
  import { ServiceRegister } from "etcd-recipes";
  const server = new ServiceRegister("/term/m1", "10.0.0.1:8080", 60, { weight: 2 });
  server.on("status", (status) => console.log(status));
  process.once("SIGTERM", () => server.close({ drainMs: 300 }));`;

test("SIGTERM: it is seen draining, then its key and its lease are gone, and the program ends by itself", async () => {
  const program = run(untilSigterm);
  await until(() => program.lines.includes("registered"), { message: () => program.errors.join("\n") });
  const start = await revisionOf(lab.etcd);
  program.kill("SIGTERM");
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["registered", "closed"]);
  const history = await historyOf(lab.etcd, "/term/", start + 1);
  expect(history.map(({ type, kv }) => [type, kv.text])).toEqual([
    ["put", '{"Op":0,"Addr":"10.0.0.1:8080","Metadata":{"etcd-recipes/weight":2,"etcd-recipes/draining":true}}'],
    ["delete", ""],
  ]);
  expect(await leasesOf(lab.endpoint)).toEqual([]);
});

test("SIGTERM while etcd is away: the program ends all the same", async () => {
  const program = run(untilSigterm);
  await until(() => program.lines.includes("registered"), { message: () => program.errors.join("\n") });
  await lab.cluster.kill();
  lab.also(() => lab.cluster.restart());
  const began = performance.now();
  program.kill("SIGTERM");
  expect(await program.ended).toBe(0);
  // Its close takes 5 s besides the wait; then the client tries once more to be rid of the lease, which takes 5 s
  // again.
  expect(performance.now() - began).toBeLessThan(20_000);
});

for (const share of [0.9, 1.5]) {
  test(`an event loop that is busy for ${share}×TTL: the service is in the list again at once`, async () => {
    const ttl = 2;
    const program = run(`
      import { ServiceRegister } from "etcd-recipes";
      const server = new ServiceRegister("/busy/m1", "10.0.0.1:8080", ${ttl});
      server.on("lost", (error) => console.log("lost", error.code));
      await server.ready;
      // Before it says that it is ready: an early signal without a listener would kill it.
      process.once("SIGUSR2", () => {
        const end = performance.now() + ${share * ttl * 1_000};
        while (performance.now() < end);
        console.log("free");
      });
      console.log("ready");`);
    await until(() => program.lines.includes("ready"), { message: () => program.errors.join("\n") });
    const before = await lab.etcd.get("/busy/m1");
    program.kill("SIGUSR2");
    await until(() => program.lines.includes("free"));
    const freeAt = performance.now();
    const present = async () => {
      const kv = await lab.etcd.get("/busy/m1");
      return kv && (share < 1 || kv.lease !== before?.lease) ? kv : undefined;
    };
    await until(present);
    expect(performance.now() - freeAt).toBeLessThan(1_000);
    if (share > 1) await until(() => program.lines.includes("lost ETCD_LEASE_LOST"));
    await until(async () => (await viewOf(lab.etcd, "/busy/")).m1 === "10.0.0.1:8080");
    program.kill();
    await program.ended;
    await lab.etcd.delete("/busy/m1");
  });
}
