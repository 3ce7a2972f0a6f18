import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ConfirmationStore } from "../../../recipes/confirmation/confirmation-store.ts";
import { decideFor, newDecision } from "../../../recipes/confirmation/decide.ts";
import { UnavailableError } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const record = { requestedAt: 1, deadline: 2 };
const approved = newDecision(systemRuntime, { decision: "approved", by: "alice" });
const timeout = newDecision(systemRuntime, { decision: "timeout" });

/** A request that waits, as it was read. What is written after that comes late. */
async function waiting() {
  const store = new ConfirmationStore(lab.etcd, lab.newPrefix(), 60);
  await store.open("a", 60, () => record, {});
  return { store, known: await store.read("a", {}) };
}

test("a request is opened once, and never over a decision", async () => {
  const { store, known } = await waiting();
  expect(await store.open("a", 60, () => ({ ...record, deadline: 3 }), {})).toBeUndefined();
  expect((await store.read("a", {})).request?.modRevision).toBe(known.request?.modRevision);
  await store.decide("a", known, approved, "there", {});
  await lab.etcd.delete(`${store.prefix}a/request`);
  expect(await store.open("a", 60, () => record, {})).toBeUndefined();
});

test("an approval that lands when the pending key is gone is none", async () => {
  const { store, known } = await waiting();
  await lab.etcd.delete(`${store.prefix}a/pending`);
  expect(await store.decide("a", known, approved, "there", {})).toBe(false);
  expect((await store.read("a", {})).decision).toBeUndefined();
});

test("a time-out by a reader that saw no pending key is none while it is there", async () => {
  const { store, known } = await waiting();
  expect(await store.decide("a", known, timeout, "gone", {})).toBe(false);
  expect((await store.read("a", {})).pending).toBeDefined();
});

test("a decision never goes over another one, and its request keeps its lease", async () => {
  const { store, known } = await waiting();
  expect(await store.decide("a", known, approved, "there", {})).toBe(true);
  const after = await store.read("a", {});
  expect(await store.decide("a", after, timeout, "either", {})).toBe(false);
  expect(await store.read("a", {})).toEqual(after);
});

test("a decision that lands when the id belongs to a later request is none", async () => {
  const { store, known } = await waiting();
  await lab.etcd.delete(`${store.prefix}a/request`);
  await store.open("a", 60, () => record, {});
  expect(await store.decide("a", known, timeout, "either", {})).toBe(false);
  expect(await store.decide("a", {}, timeout, "either", {})).toBe(false);
  expect((await store.read("a", {})).decision).toBeUndefined();
});

test("request and decision end together: none of them is ever seen alone", async () => {
  const store = new ConfirmationStore(lab.etcd, lab.newPrefix(), 1);
  // The request alone would outlive its decision by far.
  await store.open("a", 3_600, () => record, {});
  await store.decide("a", await store.read("a", {}), approved, "there", {});
  for (let state = await store.read("a", {}); state.request || state.decision; state = await store.read("a", {})) {
    expect([state.request !== undefined, state.decision !== undefined]).toEqual([true, true]);
  }
});

/** Its first decision has no answer, and is not executed. */
class UnansweredStore extends ConfirmationStore {
  meanwhile: (() => Promise<unknown>) | undefined;

  override async decide(...args: Parameters<ConfirmationStore["decide"]>): Promise<boolean> {
    const { meanwhile } = this;
    if (!meanwhile) return super.decide(...args);
    this.meanwhile = undefined;
    await meanwhile();
    throw new UnavailableError("the connection was reset", { retryable: true, outcomeUnknown: true });
  }
}

test.each([
  [
    "decided by another",
    "ETCD_ALREADY_DECIDED",
    (key: string) => lab.etcd.put(`${key}decision`, JSON.stringify(approved)),
  ],
  ["gone", "ETCD_NOT_REQUESTED", (key: string) => lab.etcd.delete(`${key}pending`)],
  ["unreadable", "ETCD_INVALID_VALUE", (key: string) => lab.etcd.put(`${key}decision`, "?")],
])("after a decision without an answer, one that is %s by now is reported at once", async (_, code, meanwhile) => {
  const store = new UnansweredStore(lab.etcd, lab.newPrefix(), 60);
  await store.open("a", 60, () => record, {});
  const key = `${store.prefix}a/`;
  store.meanwhile = async () => {
    if (code === "ETCD_NOT_REQUESTED") await lab.etcd.delete(`${key}request`);
    await meanwhile(key);
  };
  // Without an end to its time it would never settle.
  const { error } = await outcomeOf(
    decideFor(store, "a", { decision: "rejected" }, { timeoutMs: Number.POSITIVE_INFINITY }),
  );
  expect(error).toMatchObject({ code });
});
