import { afterAll, beforeAll, expect, test } from "vitest";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test("with clients of their own, Cancellation, Confirmation and ClusterMonitor let the program end when they are closed", async () => {
  await using program = runProgram(
    `
    import { Cancellation, ClusterMonitor, Confirmation } from "etcd-recipes";
    const client = { endpoints: process.env.ENDPOINT };
    const cancellation = new Cancellation("/own/cancel", { client });
    const confirmation = new Confirmation("/own/confirm", { client });
    const monitor = new ClusterMonitor("/own/nodes", { client });
    const { ready } = monitor.join("a", {});
    await Promise.all([cancellation.ready, confirmation.ready, monitor.ready, ready]);
    await cancellation.cancel("run-1");
    const request = confirmation.request("a", { timeoutSeconds: 60 }).catch(({ code }) => console.log(code));
    while ((await confirmation.pending()).length === 0);
    await Promise.all([cancellation, confirmation, monitor].map((recipe) => recipe.close()));
    await request;
    console.log("closed");`,
    { ENDPOINT: lab.endpoint },
  );
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["ETCD_CLOSED", "closed"]);
  expect(program.errors).toEqual([]);
});

test("nothing at all happens to a program that never looks at ready, although they fail", async () => {
  await using program = runProgram(
    `
    import { Cancellation, ClusterMonitor, Confirmation, EtcdClient } from "etcd-recipes";
    const client = new EtcdClient();
    const recipes = [new Cancellation("/a", { client }), new Confirmation("/b", { client }), new ClusterMonitor("/c", { client })];
    const failed = Promise.all(recipes.map((recipe) => new Promise((resolve) => recipe.once("failed", resolve))));
    recipes[2].join("a", {});
    await client.close();
    await failed;
    console.log(recipes.map(({ status }) => status).join());
    new Cancellation("/a", { client });
    new Confirmation("/b", { client });
    new ClusterMonitor("/c", { client }).join("b", {});`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  expect(await program.ended).toBe(0);
  expect(program.lines).toEqual(["failed,failed,failed"]);
  expect(program.errors).toEqual([]);
});
