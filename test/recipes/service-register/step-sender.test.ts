import { expect, test } from "vitest";
import { StepSender } from "../../../recipes/registration/step-sender.ts";
import {
  type EtcdClient,
  type LeaseId,
  type Op,
  PermissionDeniedError,
  type TxnOptions,
  UnavailableError,
} from "../../../src/index.ts";
import { Admission } from "../../../src/internal/index.ts";
import { settled } from "../../support/fake-clock.ts";

/** An etcd that knows which keys are there and denies some, and what is asked of it. */
function setUp({ there = [], denied = [] }: { there?: string[]; denied?: string[] }) {
  const requests: TxnOptions[] = [];
  const standing = new Set(there);
  const keyOf = (op: Op) => {
    if (op.type === "txn") return "";
    return Buffer.from(op.type === "put" ? op.key : op.range.start).toString();
  };
  const read = (key: string) => ({ type: "range" as const, kvs: standing.has(key) ? [{ key }] : [] });
  const etcd = {
    async txn(request: TxnOptions) {
      requests.push(request);
      const { compare = [], success = [], failure = [] } = request;
      const keys = success.map(keyOf);
      if (keys.some((key) => denied.includes(key))) throw new PermissionDeniedError("etcdserver: permission denied");
      const succeeded = compare.length === 0 || keys.every((key) => !standing.has(key));
      if (succeeded && compare.length > 0) for (const key of keys) standing.add(key);
      const reads = compare.length === 0 ? success : failure;
      const responses = succeeded && compare.length > 0 ? [] : reads.map((op) => read(keyOf(op)));
      return { succeeded, revision: 7, responses };
    },
  };
  const sender = StepSender.of(etcd as unknown as EtcdClient);
  const make = (key: string) =>
    sender.send(key, { type: "put", over: undefined, text: "a:1", lease: "a" as LeaseId }, { signal: undefined });
  return { requests, standing, sender, make };
}

const keys = Array.from({ length: 1_000 }, (_, index) => `m${index}`);

test("missing keys are made together in flat txns, and no txn stands in another", async () => {
  const { requests, standing, make } = setUp({});
  const answers = await Promise.all(keys.map(make));
  expect(new Set(answers.map(({ type }) => type))).toEqual(new Set(["done"]));
  expect(standing.size).toBe(1_000);
  expect(requests.length).toBeLessThan(20);
  for (const { success = [] } of requests) expect(success.every(({ type }) => type === "put")).toBe(true);
});

test("of a thousand of which one in a hundred is denied all others are made, and each that is denied hears so", async () => {
  const denied = keys.filter((_, index) => index % 100 === 50);
  const { requests, standing, make } = setUp({ denied });
  const results = await Promise.allSettled(keys.map(make));
  const refused = keys.filter((_, index) => results[index]?.status === "rejected");
  expect(refused).toEqual(denied);
  expect([...standing].sort()).toEqual(keys.filter((key) => !denied.includes(key)).sort());
  expect(requests.length).toBeLessThan(250);
});

test("where one of them is there nothing is made, and each learns what is there", async () => {
  const { standing, make } = setUp({ there: ["m1"] });
  const answers = await Promise.all(["m0", "m1", "m2"].map(make));
  expect(answers).toMatchObject([
    { type: "found", kv: undefined },
    { type: "found", kv: { key: "m1" } },
    { type: "found", kv: undefined },
  ]);
  expect([...standing]).toEqual(["m1"]);
});

test("steps that fail together count as a call that fails: fewer are under way at once", async () => {
  const away = new UnavailableError("away", { retryable: true });
  const etcd = { txn: () => Promise.reject(away) };
  const sender = StepSender.of(etcd as unknown as EtcdClient);
  for (let round = 0; round < 3; round++) {
    const looks = ["m0", "m1"].map((key) => sender.send(key, { type: "look" }, { signal: undefined }));
    for (const look of looks) await expect(look).rejects.toBe(away);
  }
  const admission = Admission.of(etcd);
  for (let call = 0; call < 100; call++) void admission.run(() => new Promise(() => {}));
  await settled();
  // 64, and three times the half of it.
  expect(admission.underWay).toBe(8);
});
