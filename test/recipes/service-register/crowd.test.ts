import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { startEtcd } from "../../../testing/index.ts";
import { leasesOf, requestsServed } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

/** TEST_REGISTRATIONS=20000 tries as many. */
const many = Number(process.env.TEST_REGISTRATIONS ?? 1_000);
/** Besides this process, and etcd. */
const burners = 3;

/** Threads that do nothing but keep processors busy, until they are disposed of. */
class Burners implements AsyncDisposable {
  readonly #threads = Array.from({ length: burners }, () => new Worker("for (;;);", { eval: true }));

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

async function countOf(etcd: EtcdClient, at: string): Promise<number> {
  return (await etcd.range(prefix(at), { countOnly: true })).count;
}

test("a flood of own leases on a busy machine comes in steadily, none is lost, and each leaves by its revocation alone", {
  timeout: 60_000 + many * 20,
}, async () => {
  await using lab = await RegistryLab.start();
  const at = lab.newPrefix();
  const client = lab.client();
  const warnings: Error[] = [];
  let there = 0;
  let lost = 0;
  const all: ServiceRegister[] = [];
  {
    await using _ = new Burners();
    for (let index = 0; index < many; index++) {
      const register = new ServiceRegister(`${at}m${index}`, "10.0.0.1:80", 60, { client });
      register.on("registered", () => there++);
      register.on("lost", () => lost++);
      register.on("warning", (warning) => warnings.push(warning));
      all.push(register);
    }
    for (let before = 0; before < many; ) {
      const message = () => `${there} of ${many} are registered, as before; ${lost} were lost; ${warnings.at(-1)}`;
      before = await until(() => (there > before ? there : undefined), { timeoutMs: 15_000, message });
    }
  }
  expect(lost).toBe(0);
  expect(all.filter(({ status }) => status !== "registered")).toEqual([]);
  expect(await countOf(lab.etcd, at)).toBe(many);
  expect(await leasesOf(lab.endpoint)).toHaveLength(many);
  // What was slow was tried again, and said so.
  const hints = warnings.filter(({ message }) => message.includes('lease: "shared"'));
  expect(hints).toHaveLength(many > 500 ? 1 : 0);

  const before = await requestsServed(lab.endpoint);
  await Promise.all(all.map((register) => register.close()));
  const after = await requestsServed(lab.endpoint);
  const served = (method: string) => (after[method] ?? 0) - (before[method] ?? 0);
  expect(served("LeaseRevoke")).toBeGreaterThanOrEqual(many);
  // A look at what stands there, now and then, for all of a client together.
  expect(served("Txn") + served("Range") + served("DeleteRange")).toBeLessThan(many / 20);
  expect(await countOf(lab.etcd, at)).toBe(0);
});

test("one in a hundred is refused by its role: it fails alone, and all the others stand", async () => {
  const count = Math.max(300, many / 4);
  await using cluster = await startEtcd({ auth: true });
  await cluster.auth?.addUser("svc", "secret");
  await cluster.auth?.addRole("svc", [{ readwrite: { prefix: "/ok/" } }]);
  await cluster.auth?.grantRole("svc", "svc");
  await using client = new EtcdClient({ ...cluster.clientOptions, auth: { username: "svc", password: "secret" } });
  await using root = new EtcdClient(cluster.clientOptions);
  const isRefused = (index: number) => index % 100 === 50;
  const warnings: Error[] = [];
  const all = Array.from({ length: count }, (_, index) => {
    const key = `${isRefused(index) ? "/no/" : "/ok/"}m${index}`;
    const register = new ServiceRegister(key, "10.0.0.1:80", 60, { client, lease: index % 2 === 0 ? "shared" : "own" });
    register.on("warning", (warning) => warnings.push(warning));
    return register;
  });
  const ends = await Promise.allSettled(all.map(({ ready }) => ready));
  for (const [index, end] of ends.entries()) {
    const refused = { status: "rejected", reason: { code: "ETCD_PERMISSION_DENIED" } };
    expect(end, `${index}`).toMatchObject(isRefused(index) ? refused : { status: "fulfilled" });
    expect(all[index]?.status).toBe(isRefused(index) ? "failed" : "registered");
  }
  expect(await countOf(root, "/")).toBe(count - Math.floor((count + 49) / 100));
  // Half of them have leases of their own, of which from 500 on one warning says that a shared one would do.
  const hint = { message: expect.stringContaining('lease: "shared"') };
  expect(warnings).toMatchObject(count / 2 > 500 ? [hint] : []);
  await Promise.all(all.map((register) => register.close()));
  expect(await countOf(root, "/")).toBe(0);
});
