import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AlreadyDecidedError, ClientClosedError, NotRequestedError } from "../../../recipes/index.ts";
import { EtcdClient, prefix as under } from "../../../src/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { leaseRemaining, leasesOf } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";
import { confirmationEvents, confirmationOf, requested } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("approved: the requester learns by whom, and what stands in etcd is as documented", async () => {
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { retainSeconds: 1_000 });
  const approver = confirmationOf(lab, prefix, { client: lab.client(), retainSeconds: 1_000 });
  const began = Date.now();
  const { result } = await requested(lab, requester, "run-1/deploy", 100);
  const keys = ["request", "pending"].map((part) => `${prefix}run-1/deploy/${part}`);
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toEqual(["run-1/deploy/pending", "run-1/deploy/request"]);
  const [request, pending] = await Promise.all(keys.map((key) => lab.etcd.get(key)));
  const { requestedAt, deadline } = JSON.parse(request?.text ?? "");
  expect(requestedAt - began).toBeGreaterThanOrEqual(0);
  expect(deadline - requestedAt).toBe(100_000);
  expect(await leaseRemaining(lab.endpoint, request?.lease as never)).toBeGreaterThanOrEqual(1_098);
  const pendingLeft = await leaseRemaining(lab.endpoint, pending?.lease as never);
  expect(pendingLeft).toBeGreaterThanOrEqual(98);
  expect(pendingLeft).toBeLessThanOrEqual(106);
  await approver.approve("run-1/deploy", "alice");
  const approved = performance.now();
  expect(await result).toEqual({ decision: "approved", by: "alice" });
  expect(performance.now() - approved, "it hears of it by its watch").toBeLessThan(5_000);
  expect(Object.isFrozen(await result)).toBe(true);
  const view = await viewOf(lab.etcd, prefix);
  expect(Object.keys(view)).toEqual(["run-1/deploy/decision", "run-1/deploy/request"]);
  expect(JSON.parse(view["run-1/deploy/decision"] ?? "")).toMatchObject({ decision: "approved", by: "alice" });
  expect(view["run-1/deploy/request"]).toBe(request?.text);
  const kept = await Promise.all(["request", "decision"].map((part) => lab.etcd.get(`${prefix}run-1/deploy/${part}`)));
  expect(kept[0]?.lease, "one without the other would look like a time-out").toBe(kept[1]?.lease);
  expect(await leaseRemaining(lab.endpoint, kept[0]?.lease as never)).toBeGreaterThanOrEqual(998);
});

test("rejected, with and without a reason", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const { result: first } = await requested(lab, confirmation, "a", 60);
  const { result: second } = await requested(lab, confirmation, "b", 60);
  await confirmation.reject("a", "bob", "friday");
  await confirmation.reject("b", "bob");
  expect(await first).toEqual({ decision: "rejected", by: "bob", reason: "friday" });
  expect(await second).toEqual({ decision: "rejected", by: "bob" });
});

test("no decision: a time-out at the deadline, not before, and it stands in etcd", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const { value, tookMs } = await outcomeOf(confirmation.request("a", { timeoutSeconds: 1 }));
  expect(value).toEqual({ decision: "timeout" });
  expect(tookMs).toBeGreaterThan(990);
  expect(tookMs).toBeLessThan(3_000);
  const view = await viewOf(lab.etcd, prefix);
  expect(Object.keys(view)).toEqual(["a/decision", "a/request"]);
  expect(JSON.parse(view["a/decision"] ?? "")).toMatchObject({ decision: "timeout" });
});

test("a late decider gets what was decided, and changes nothing", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  await confirmation.request("timed-out", { timeoutSeconds: 1 });
  const { result } = await requested(lab, confirmation, "approved", 60);
  await confirmation.approve("approved", "alice");
  const before = await viewOf(lab.etcd, prefix);
  const late = await etcdErrorOf(confirmation.approve("timed-out", "bob"));
  expect(late).toBeInstanceOf(AlreadyDecidedError);
  expect(late).toMatchObject({ code: "ETCD_ALREADY_DECIDED", id: "timed-out", result: { decision: "timeout" } });
  const second = await etcdErrorOf(confirmation.reject("approved", "bob", "no"));
  expect(second).toMatchObject({ code: "ETCD_ALREADY_DECIDED", result: { decision: "approved", by: "alice" } });
  // Also the same one once more: it is another decision.
  expect(await etcdErrorOf(confirmation.approve("approved", "alice"))).toBeInstanceOf(AlreadyDecidedError);
  expect(await viewOf(lab.etcd, prefix)).toEqual(before);
  expect((await result).decision).toBe("approved");
});

test("an approval after the time-out lease ended, with no requester left, writes the time-out and returns it", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const giveUp = new AbortController();
  await requested(lab, confirmation, "a", 1, giveUp.signal);
  giveUp.abort(new Error("the requester died"));
  await until(async () => !(await lab.etcd.get(`${prefix}a/pending`)));
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toEqual(["a/request"]);
  expect(await etcdErrorOf(confirmation.approve("a", "alice"))).toMatchObject({ result: { decision: "timeout" } });
  expect(await confirmation.request("a", { timeoutSeconds: 60 })).toEqual({ decision: "timeout" });
});

test("a confirmation without a request cannot be decided", async () => {
  const confirmation = confirmationOf(lab, lab.newPrefix());
  const error = await etcdErrorOf(confirmation.approve("a", "alice"));
  expect(error).toBeInstanceOf(NotRequestedError);
  expect(error.code).toBe("ETCD_NOT_REQUESTED");
  expect(await etcdErrorOf(confirmation.reject("a", "alice"))).toBeInstanceOf(NotRequestedError);
});

test("two who decide at once: one wins, both and the requester get its decision", async () => {
  const prefix = lab.newPrefix();
  const [one, other] = [confirmationOf(lab, prefix), confirmationOf(lab, prefix, { client: lab.client() })];
  for (let round = 0; round < 20; round++) {
    const id = `r${round}`;
    const { result } = await requested(lab, one, id, 60);
    const [approval, rejection] = await Promise.all([
      outcomeOf(one.approve(id, "alice")),
      outcomeOf(other.reject(id, "bob", "no")),
    ]);
    const won = approval.error === undefined ? "approved" : "rejected";
    expect([approval.error, rejection.error].filter((error) => error instanceof AlreadyDecidedError)).toHaveLength(1);
    const received = (approval.error ?? rejection.error) as AlreadyDecidedError;
    expect(received.result.decision).toBe(won);
    expect(await result).toEqual(received.result);
  }
});

test("an approval that races the deadline, 60 times: requester and approver always end alike", async () => {
  const random = seeded("confirmation deadline");
  const prefix = lab.newPrefix();
  const requester = confirmationOf(lab, prefix, { client: lab.client() });
  const approver = confirmationOf(lab, prefix, { client: lab.client() });
  // So that both have a lease for their decisions, and the race is even.
  for (const each of [requester, approver]) {
    await requested(lab, each, "warm", 60).then(() => each.approve("warm", "alice"));
    await lab.etcd.delete(under(`${prefix}warm/`));
  }
  const decisions = await Promise.all(
    Array.from({ length: 60 }, async (_, number) => {
      const id = `r${number}`;
      const { result } = await requested(lab, requester, id, 1);
      const { deadline } = JSON.parse((await lab.etcd.get(`${prefix}${id}/request`))?.text ?? "");
      const at = deadline + random.between(-100, 150);
      await until(() => Date.now() >= at, { timeoutMs: 5_000 });
      const { error } = await outcomeOf(approver.approve(id, "alice"));
      const wanted =
        error === undefined ? { decision: "approved", by: "alice" } : (error as AlreadyDecidedError).result;
      expect(await result, `${id}, seed ${random.seed}`).toEqual(wanted);
      return wanted.decision;
    }),
  );
  const approved = decisions.filter((decision) => decision === "approved").length;
  console.log(`${approved} of 60 approved, the others timed out`);
});

test("pending: those that wait, the most urgent first; decided and timed-out ones are gone from it", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  expect(await confirmation.pending()).toEqual([]);
  await requested(lab, confirmation, "slow", 100);
  await requested(lab, confirmation, "quick", 50);
  await requested(lab, confirmation, "done", 70);
  await confirmation.approve("done", "alice");
  const list = await confirmation.pending();
  expect(list.map(({ id }) => id)).toEqual(["quick", "slow"]);
  expect(list[0]).toEqual({ id: "quick", requestedAt: expect.any(Number), deadline: expect.any(Number) });
  expect((list[0]?.deadline ?? 0) - (list[0]?.requestedAt ?? 0)).toBe(50_000);
  expect(Object.isFrozen(list) && list.every(Object.isFrozen)).toBe(true);
});

test("requests and decisions are emitted once each, in order, also those present at the start", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const recorder = new Recorder(confirmation, confirmationEvents);
  await confirmation.ready;
  const { result } = await requested(lab, confirmation, "a", 60);
  await requested(lab, confirmation, "b", 60);
  await confirmation.approve("a", "alice");
  await result;
  await until(() => recorder.names.includes("decided"));
  const received = recorder.events.filter(({ name }) => name !== "status");
  expect(
    received.map(({ name, args }) => [name, name === "requested" ? (args[0] as { id: string }).id : args]),
  ).toEqual([
    ["requested", "a"],
    ["requested", "b"],
    ["decided", ["a", { decision: "approved", by: "alice" }]],
  ]);
  const later = confirmationOf(lab, prefix);
  const start = new Recorder(later, confirmationEvents);
  await later.ready;
  expect(start.names.filter((name) => name !== "status").sort()).toEqual(["decided", "requested"]);
  expect(start.of<{ id: string }>("requested")[0]?.id).toBe("b");
});

test("garbage under the prefix is a warning and hurts no other confirmation", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const recorder = new Recorder(confirmation, confirmationEvents);
  await confirmation.ready;
  for (const key of ["x", "x/y", "request", "a/request/deep"]) await lab.etcd.put(prefix + key, "?");
  await lab.etcd.put(Buffer.concat([Buffer.from(prefix), Buffer.of(0xff), Buffer.from("/request")]), "{}");
  await lab.etcd.put(`${prefix}bad/request`, "{");
  await lab.etcd.put(`${prefix}bad/pending`, "?");
  await lab.etcd.put(`${prefix}worse/decision`, '{"decision":"perhaps"}');
  const { result } = await requested(lab, confirmation, "good", 60);
  expect((await confirmation.pending()).map(({ id }) => id)).toEqual(["good"]);
  await confirmation.approve("good", "alice");
  expect((await result).decision).toBe("approved");
  expect(new Set(recorder.of<{ code: string }>("warning").map(({ code }) => code))).toEqual(
    new Set(["ETCD_INVALID_VALUE"]),
  );
  // A request that cannot be read is picked up and can be decided; a decision that cannot be read is an error to all.
  const { result: bad } = await requested(lab, confirmation, "bad", 60);
  await confirmation.approve("bad", "alice");
  expect((await bad).decision).toBe("approved");
  expect(await etcdErrorOf(confirmation.request("worse", { timeoutSeconds: 60 }))).toMatchObject({
    code: "ETCD_INVALID_VALUE",
  });
  expect(await etcdErrorOf(confirmation.approve("worse", "alice"))).toMatchObject({ code: "ETCD_INVALID_VALUE" });
});

test("aborted: the request rejects with the reason and stays, and can be decided and picked up", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const giveUp = new AbortController();
  const { result } = await requested(lab, confirmation, "a", 60, giveUp.signal);
  const reason = new Error("enough");
  giveUp.abort(reason);
  await expect(result).rejects.toBe(reason);
  await expect(confirmation.request("b", { timeoutSeconds: 1, signal: giveUp.signal })).rejects.toBe(reason);
  await confirmation.approve("a", "alice");
  expect(await confirmation.request("a", { timeoutSeconds: 60 })).toEqual({ decision: "approved", by: "alice" });
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toEqual(["a/decision", "a/request"]);
});

test("closed, before ready and while a request waits: it rejects, stays in etcd, and calls say that it is closed", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix);
  const { result } = await requested(lab, confirmation, "a", 60);
  const recorder = new Recorder(confirmation, confirmationEvents);
  const unready = confirmationOf(lab, prefix);
  const early = unready.request("early", { timeoutSeconds: 60 });
  await Promise.all([unready.close(), confirmation.close(), confirmation.close(), confirmation[Symbol.asyncDispose]()]);
  await expect(early).rejects.toBeInstanceOf(ClientClosedError);
  await expect(unready.ready).rejects.toBeInstanceOf(ClientClosedError);
  await expect(result).rejects.toBeInstanceOf(ClientClosedError);
  expect(confirmation.status).toBe("closed");
  for (const call of [
    confirmation.request("a", { timeoutSeconds: 1 }),
    confirmation.approve("a", "alice"),
    confirmation.reject("a", "alice"),
    confirmation.pending(),
  ]) {
    expect(await etcdErrorOf(call)).toBeInstanceOf(ClientClosedError);
  }
  expect(await lab.etcd.get(`${prefix}a/pending`)).toBeDefined();
  expect(recorder.names).toEqual(["status"]);
});

test("request twice, in one object and in two: one request, one decision for all", async () => {
  const prefix = lab.newPrefix();
  const [one, other] = [confirmationOf(lab, prefix), confirmationOf(lab, prefix, { client: lab.client() })];
  const requests = [one, one, other].map((each) => each.request("a", { timeoutSeconds: 60 }));
  await until(async () => (await one.pending()).length === 1);
  const [{ version, modRevision } = {}] = [await lab.etcd.get(`${prefix}a/request`)];
  await other.approve("a", "alice");
  expect(await Promise.all(requests)).toEqual(Array(3).fill({ decision: "approved", by: "alice" }));
  expect([version, modRevision]).toEqual([1, expect.any(Number)]);
});

test("300 requests of one time-out, and their decisions, share a few leases", async () => {
  const prefix = lab.newPrefix();
  const confirmation = confirmationOf(lab, prefix, { client: lab.client() });
  const before = (await leasesOf(lab.endpoint)).length;
  const ids = Array.from({ length: 300 }, (_, number) => `r${number}`);
  const results = ids.map((id) => confirmation.request(id, { timeoutSeconds: 600 }));
  await until(async () => (await confirmation.pending()).length === 300);
  await Promise.all(ids.map((id) => confirmation.approve(id, "alice")));
  expect(new Set((await Promise.all(results)).map(({ decision }) => decision))).toEqual(new Set(["approved"]));
  // One for the time-outs, one or two for what is kept.
  expect((await leasesOf(lab.endpoint)).length - before).toBeLessThanOrEqual(3);
});

test("when its client is closed it fails, once, says so, and requests that wait reject", async () => {
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const confirmation = confirmationOf(lab, lab.newPrefix(), { client });
  const recorder = new Recorder(confirmation, confirmationEvents);
  await confirmation.ready;
  const { result } = await requested(lab, confirmation, "a", 60);
  await client.close();
  await expect(result).rejects.toBeInstanceOf(ClientClosedError);
  await until(() => confirmation.status === "failed");
  expect(recorder.names.filter((name) => name !== "requested").slice(-2)).toEqual(["status", "failed"]);
  expect(await etcdErrorOf(confirmation.pending())).toBeInstanceOf(ClientClosedError);
});
