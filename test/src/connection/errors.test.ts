import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, EtcdError, keyMissing, leaseId, prefix, putOp, txnOp } from "../../../src/index.ts";
import { revisionFromDecimal } from "../../../src/model/revision.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";

const secret = "S3CRET-VALUE";

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ flags: ["--quota-backend-bytes=16777216"] });
  etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs: 20_000 });
  for (let i = 0; i < 10; i++) await etcd.put("k", `${secret}${i}`);
  await cluster.compact(5);
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

const megabyte = secret.padEnd(1024 * 1024, "x");
const unknownLease = leaseId("7fffffffffffffff");

const refusals: Record<string, [code: string, call: () => Promise<unknown>]> = {
  "a put with a lease that is not there": [
    "ETCD_LEASE_NOT_FOUND",
    () => etcd.put("k", secret, { lease: unknownLease }),
  ],
  "a txn with a lease that is not there": [
    "ETCD_LEASE_NOT_FOUND",
    () => etcd.txn({ success: [putOp("k", secret, { lease: unknownLease })] }),
  ],
  "a get at a compacted revision": ["ETCD_COMPACTED", () => etcd.get("k", { revision: 2 })],
  "a range at a compacted revision": ["ETCD_COMPACTED", () => etcd.range(prefix("k"), { revision: 2 })],
  "a get at a revision to come": ["ETCD_FUTURE_REVISION", () => etcd.get("k", { revision: 1_000_000 })],
  "a txn that writes one key twice": [
    "ETCD_REQUEST_REFUSED",
    () => etcd.txn({ success: [putOp("twice", secret), putOp("twice", secret)] }),
  ],
  "a nested txn that writes one key twice": [
    "ETCD_REQUEST_REFUSED",
    () => etcd.txn({ success: [putOp("twice", secret), txnOp({ success: [putOp("twice", secret)] })] }),
  ],
  "a txn of 129 operations": [
    "ETCD_REQUEST_REFUSED",
    () => etcd.txn({ success: Array.from({ length: 129 }, (_, i) => putOp(`many/${i}`, secret)) }),
  ],
  "a put above etcd's limit of 1.5 MiB": [
    "ETCD_REQUEST_REFUSED",
    () => etcd.put("big", megabyte + megabyte.slice(0, 700_000)),
  ],
  "a put above the server's gRPC limit": ["ETCD_REQUEST_REFUSED", () => etcd.put("bigger", megabyte.repeat(4))],
};

test.each(Object.entries(refusals))("%s fails with its own code, known not to be executed", async (_, [code, call]) => {
  const { revision } = await etcd.range("k");
  const error = await etcdErrorOf(call());
  expect(error).toMatchObject({ code, retryable: false, outcomeUnknown: false });
  expect(error.message).not.toContain(secret);
  expect((await etcd.range("k")).revision).toBe(revision);
});

test("an error carries what it came from, and no key or value stands in its message", async () => {
  const error = await etcdErrorOf(etcd.put("k", secret, { lease: unknownLease }));
  expect(error).toBeInstanceOf(EtcdError);
  expect(error.cause).toBeInstanceOf(Error);
  expect(JSON.stringify([error.message, (error.cause as Error).message])).not.toContain(secret);
});

test("a full database refuses puts as exhausted, of unknown outcome, and still serves reads and deletes", async () => {
  let error: EtcdError | undefined;
  // How many fit, etcd says: its file has room for old pages, and it looks at its size ten times a second.
  let stored = 0;
  while (!error) {
    error = await etcd.put(`full/${stored}`, megabyte).then(
      () => {
        stored++;
        return undefined;
      },
      (cause) => cause as EtcdError,
    );
  }
  expect(error).toMatchObject({ code: "ETCD_EXHAUSTED", retryable: false, outcomeUnknown: true });
  expect((await etcd.get("k"))?.text).toBe(`${secret}9`);
  expect(stored).toBeGreaterThan(0);
  const { deleted } = await etcd.delete(prefix("full/"));
  // The one that fills it can be stored and refused: etcd looks at its space again when it executes a put.
  expect([stored, stored + 1]).toContain(deleted);

  // The alarm stays until it is disarmed.
  const full = { code: "ETCD_EXHAUSTED", retryable: false, outcomeUnknown: true };
  expect(await etcdErrorOf(etcd.put("k", "v"))).toMatchObject(full);
  expect(await etcdErrorOf(etcd.txn({ success: [putOp("k", "v")] }))).toMatchObject(full);
  expect(await etcdErrorOf(etcd.grantLease(60))).toMatchObject(full);
});

test("of a batch that a full database refuses nothing is sent again; later deletions pass, whatever is called with them", async () => {
  await using batching = new EtcdClient({ endpoints: cluster.endpoints, autoBatch: true });
  const mixed = () => Promise.all([outcomeOf(batching.put("full/1", "v")), outcomeOf(batching.delete("full/2"))]);
  const full = { error: { code: "ETCD_EXHAUSTED", outcomeUnknown: true } };
  // The alarm of the test before stays on.
  expect(await mixed()).toMatchObject([full, full]);
  expect(await mixed()).toMatchObject([full, { value: { deleted: 0 } }]);
  expect(await mixed()).toMatchObject([full, { value: { deleted: 0 } }]);
});

test.each(["9007199254740992", "9223372036854775807", "not a number"])(
  "a revision of %s is refused, never rounded",
  (decimal) => {
    expect(() => revisionFromDecimal(decimal)).toThrow(expect.objectContaining({ code: "ETCD_PROTOCOL" }));
    expect(revisionFromDecimal("9007199254740991")).toBe(Number.MAX_SAFE_INTEGER);
  },
);

test.each([
  ["an empty key", () => etcd.get(""), "key"],
  ["a key that is a number", () => etcd.put(1 as never, "v"), "key"],
  ["a value that is undefined", () => etcd.put("k", undefined as never), "value"],
  ["a value that is null", () => etcd.put("k", null as never), "value"],
  ["a range that is null", () => etcd.range(null as never), "key"],
  ["a limit of 0", () => etcd.range("k", { limit: 0 }), "limit"],
  ["a revision of 0", () => etcd.get("k", { revision: 0 }), "revision"],
  ["a revision between two", () => etcd.range("k", { revision: 1.5 }), "revision"],
  ["a lease that is no id", () => etcd.put("k", "v", { lease: "not hex" as never }), "lease"],
  ["a lease that is a number", () => etcd.put("k", "v", { lease: 7 as never }), "lease"],
  ["an endpoint that is not the client's", () => etcd.status({ endpoint: "http://elsewhere:1" }), "endpoint"],
] as const)("%s is refused by name before anything is sent", async (_, call, option) => {
  expect(await etcdErrorOf(Promise.resolve().then<unknown>(call))).toMatchObject({
    code: "ETCD_INVALID_OPTION",
    option,
  });
});

test("the trace of an error leads to who made the call", async () => {
  const { stackTraceLimit } = Error;
  const whoMadeIt = async () => {
    await etcd.put("k", secret, { lease: unknownLease });
  };
  const { stack } = await etcdErrorOf(whoMadeIt());
  expect(stack).toContain("whoMadeIt");
  expect(Error.stackTraceLimit).toBe(stackTraceLimit);
});

test("an empty prefix is refused where it is made", () => {
  expect(() => prefix("")).toThrow(/allKeys\(\)/);
  expect(() => keyMissing("")).toThrow(/must not be empty/);
});
