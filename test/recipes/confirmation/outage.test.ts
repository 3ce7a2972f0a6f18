import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { AlreadyDecidedError, Confirmation } from "../../../recipes/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { confirmationBehindLink, confirmationOf, requested } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function deadlineOf({ prefix }: Confirmation, id: string): Promise<number> {
  return JSON.parse((await lab.etcd.get(`${prefix}${id}/request`))?.text ?? "").deadline;
}

/** A requester in a process of its own that is killed as soon as its request stands in etcd. */
async function crashedRequester(prefix: string, id: string, timeoutSeconds: number): Promise<void> {
  await using program = runProgram(
    `
    import { Confirmation } from "etcd-recipes";
    const confirmation = new Confirmation(${JSON.stringify(prefix)});
    confirmation.request(${JSON.stringify(id)}, { timeoutSeconds: ${timeoutSeconds} });`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  await until(() => lab.etcd.get(`${prefix}${id}/pending`), { timeoutMs: 20_000 });
  program.kill();
  await program.ended;
}

test("the requester is killed and decided meanwhile: its next request gets the decision, long past the deadline too", async () => {
  const prefix = lab.newPrefix();
  await crashedRequester(prefix, "a", 2);
  const approver = confirmationOf(lab, prefix);
  const deadline = await deadlineOf(approver, "a");
  await approver.approve("a", "alice");
  await until(() => Date.now() > deadline + 500);
  const restarted = confirmationOf(lab, prefix, { client: lab.client() });
  expect(await restarted.request("a", { timeoutSeconds: 2 })).toEqual({ decision: "approved", by: "alice" });
});

test("the requester is killed and starts again: it goes on with the time it has left", async () => {
  const prefix = lab.newPrefix();
  await crashedRequester(prefix, "a", 4);
  const restarted = confirmationOf(lab, prefix);
  const deadline = await deadlineOf(restarted, "a");
  const result = restarted.request("a", { timeoutSeconds: 1_000 });
  const [pending] = await restarted.pending();
  expect(pending?.deadline).toBe(deadline);
  expect(await result).toEqual({ decision: "timeout" });
  expect(Math.abs(Date.now() - deadline)).toBeLessThan(1_500);
});

test("the approver is away when it is asked: after its start it finds what waits, and decides", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix);
  const { result } = await requested(lab, requester, "a", 60);
  const approver = confirmationOf(lab, prefix, { client: lab.client() });
  const [waiting] = await approver.pending();
  await approver.reject(waiting?.id ?? "", "bob", "no");
  expect(await result).toEqual({ decision: "rejected", by: "bob", reason: "no" });
});

test("approved while the requester's link is black-holed past the deadline: both end approved", async () => {
  const prefix = lab.newPrefix();
  const { confirmation: requester, proxy } = await confirmationBehindLink(lab, prefix);
  const approver = confirmationOf(lab, prefix);
  const { result } = await requested(lab, requester, "a", 2);
  const deadline = await deadlineOf(requester, "a");
  proxy.blackHole();
  await approver.approve("a", "alice");
  let received = false;
  void result.then(() => {
    received = true;
  });
  await until(() => Date.now() > deadline + 1_000);
  expect(received, "it cannot know").toBe(false);
  await proxy.heal();
  expect(await result).toEqual({ decision: "approved", by: "alice" });
});

test("timed out while the approver's link is black-holed: both end with the time-out", async () => {
  const prefix = lab.newPrefix();
  const { confirmation: approver, proxy } = await confirmationBehindLink(lab, prefix);
  const requester = confirmationOf(lab, prefix);
  const { result } = await requested(lab, requester, "a", 1);
  expect(await approver.pending()).toHaveLength(1);
  proxy.blackHole();
  const approving = outcomeOf(approver.approve("a", "alice", { timeoutMs: 20_000 }));
  expect(await result).toEqual({ decision: "timeout" });
  await proxy.heal();
  const { error } = await approving;
  expect(error).toMatchObject({ code: "ETCD_ALREADY_DECIDED", result: { decision: "timeout" } });
});

test("the answer to an approval is lost: it is known again as its own, and both end approved", async () => {
  const prefix = lab.newPrefix();
  const { confirmation: approver, proxy } = await confirmationBehindLink(lab, prefix);
  const requester = confirmationOf(lab, prefix);
  // So that its lease is there: what is lost is the answer to the approval itself.
  await requested(lab, requester, "warm", 60);
  await approver.approve("warm", "alice");
  for (let round = 0; round < 3; round++) {
    const id = `r${round}`;
    const { result } = await requested(lab, requester, id, 60);
    proxy.delay(200);
    const approving = outcomeOf(approver.approve(id, "alice", { timeoutMs: 20_000 }));
    // Cut as soon as it stands in etcd: the answer is held back for longer.
    await until(() => lab.etcd.get(`${prefix}${id}/decision`));
    proxy.cut();
    proxy.delay(0);
    const { error } = await approving;
    expect(error, `round ${round}`).toBeUndefined();
    expect(await result).toEqual({ decision: "approved", by: "alice" });
  }
});

test("the answer to the requester's time-out is lost: both end with the time-out", async () => {
  const prefix = lab.newPrefix();
  const { confirmation: requester, proxy } = await confirmationBehindLink(lab, prefix);
  const { result } = await requested(lab, requester, "a", 1);
  proxy.delay(200);
  await until(() => lab.etcd.get(`${prefix}a/decision`));
  proxy.cut();
  const approver = confirmationOf(lab, prefix);
  const { result: received } = (await etcdErrorOf(approver.approve("a", "alice"))) as AlreadyDecidedError;
  proxy.delay(0);
  expect(await result).toEqual({ decision: "timeout" });
  expect(received).toEqual(await result);
});

test("etcd is away past the deadline: nothing is decided before it answers; then the time-out stands in etcd", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { client: lab.client({ requestTimeoutMs: 200 }) });
  const warnings: Error[] = [];
  requester.on("warning", (error) => warnings.push(error));
  const { result } = await requested(lab, requester, "a", 1);
  const deadline = await deadlineOf(requester, "a");
  await lab.cluster.kill();
  let received = false;
  void result.then(() => {
    received = true;
  });
  await until(() => Date.now() > deadline + 1_000);
  expect(received).toBe(false);
  await lab.cluster.restart();
  expect(await result).toEqual({ decision: "timeout" });
  expect(JSON.parse((await lab.etcd.get(`${prefix}a/decision`))?.text ?? "")).toMatchObject({ decision: "timeout" });
  expect(warnings.length).toBeGreaterThan(0);
});

test("etcd is away when it is requested: the request waits for it, and its time begins when etcd has it", async () => {
  const prefix = lab.newPrefix();
  const { confirmation: requester, proxy } = await confirmationBehindLink(lab, prefix, { requestTimeoutMs: 200 });
  await proxy.down();
  const began = Date.now();
  const result = requester.request("a", { timeoutSeconds: 5 });
  await until(() => Date.now() > began + 700);
  await proxy.up();
  await until(() => lab.etcd.get(`${prefix}a/pending`), { timeoutMs: 20_000 });
  expect(await deadlineOf(requester, "a")).toBeGreaterThan(began + 5_500);
  await confirmationOf(lab, prefix).approve("a", "alice");
  expect((await result).decision).toBe("approved");
});

test("etcd is restarted in between: it goes on, and is decided", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { client: lab.client() });
  await requester.ready;
  const { result } = await requested(lab, requester, "a", 60);
  await lab.cluster.kill();
  await until(() => requester.status === "stale");
  await lab.cluster.restart();
  await confirmationOf(lab, prefix, { client: lab.client() }).approve("a", "alice");
  expect((await result).decision).toBe("approved");
});

test("etcd is wiped: the request is written again with the time that it has left, and can be decided", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { client: lab.client() });
  await requester.ready;
  const { result } = await requested(lab, requester, "a", 60);
  const deadline = await deadlineOf(requester, "a");
  await lab.cluster.wipe();
  await until(() => lab.etcd.get(`${prefix}a/pending`), { timeoutMs: 20_000 });
  expect(await deadlineOf(requester, "a")).toBe(deadline);
  await confirmationOf(lab, prefix, { client: lab.client() }).approve("a", "alice");
  expect((await result).decision).toBe("approved");
});

test("etcd is wiped and away past the deadline: a time-out, which stands in the new etcd", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { client: lab.client() });
  const { result } = await requested(lab, requester, "a", 1);
  await lab.cluster.kill();
  const killed = Date.now();
  await until(() => Date.now() > killed + 1_200);
  await lab.cluster.wipe();
  expect(await result).toEqual({ decision: "timeout" });
  expect(await lab.etcd.get(`${prefix}a/decision`)).toBeDefined();
});

test("closed while etcd does not answer: at once, and the request that waits rejects", async () => {
  const prefix = lab.newPrefix();
  const { confirmation, proxy } = await confirmationBehindLink(lab, prefix);
  const { result } = await requested(lab, confirmation, "a", 1);
  proxy.blackHole();
  const deadline = await deadlineOf(confirmation, "a");
  // It asks etcd now.
  await until(() => Date.now() > deadline + 200);
  const unsent = outcomeOf(confirmation.request("b", { timeoutSeconds: 60 }));
  const began = performance.now();
  await confirmation.close();
  await expect(result).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect((await unsent).error).toMatchObject({ code: "ETCD_CLOSED" });
  expect(performance.now() - began).toBeLessThan(500);
  expect(confirmation.status).toBe("closed");
});
