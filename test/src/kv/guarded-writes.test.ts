import { afterAll, beforeAll, expect, test } from "vitest";
import {
  compareModRevision,
  compareValue,
  deleteOp,
  EtcdClient,
  getOp,
  keyMissing,
  leaseId,
  prefix,
  putOp,
  type TxnAnswer,
  type TxnOptions,
  txnOp,
} from "../../../src/index.ts";
import { ServerLimits } from "../../../src/internal/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { requestsRefused, requestsServed } from "../../support/gateway/index.ts";

// Guarded steps that are made at the same time travel as one txn, and each is as if it were alone.

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

let spaces = 0;
const newSpace = () => `space-${++spaces}/`;

function together(requests: readonly TxnOptions[], client = etcd): Promise<TxnAnswer>[] {
  return requests.map((request) => client.txn(request, { batch: true }));
}

async function txnsOf(endpoint: string): Promise<number> {
  return (await requestsServed(endpoint)).Txn ?? 0;
}

function putOnce(key: string, value = key): TxnOptions {
  return { compare: [keyMissing(key)], success: [putOp(key, value)], failure: [getOp(key)] };
}

test("steps of the same moment are one request and one revision, and each has its own compares and its own answer", async () => {
  const at = newSpace();
  await etcd.put(`${at}taken`, "before");
  const [endpoint = ""] = cluster.endpoints;
  const before = await txnsOf(endpoint);
  const [first, taken, second] = await Promise.all(
    together([putOnce(`${at}a`), putOnce(`${at}taken`), putOnce(`${at}b`)]),
  );
  expect((await txnsOf(endpoint)) - before).toBe(1);
  expect(first).toMatchObject({ succeeded: true, responses: [{ type: "put" }] });
  expect(taken).toMatchObject({ succeeded: false, responses: [{ type: "range", kvs: [{ text: "before" }] }] });
  expect(second).toMatchObject({ succeeded: true, revision: first?.revision });
  const { kvs } = await etcd.range(prefix(at));
  expect(kvs.map(({ text }) => text)).toEqual([`${at}a`, `${at}b`, "before"]);
  expect(kvs[0]?.modRevision).toBe(first?.revision);
});

test("steps that only compare or read the same key are one request; one that writes it goes after them", async () => {
  const at = newSpace();
  const shared = `${at}shared`;
  await etcd.put(shared, "old");
  const put = (key: string): TxnOptions => ({
    compare: [compareValue(shared, "equal", "old")],
    success: [putOp(at + key, key), getOp(shared)],
  });
  const [endpoint = ""] = cluster.endpoints;
  const before = await txnsOf(endpoint);
  const answers = await Promise.all(together([put("a"), put("b"), { success: [putOp(shared, "new")] }, put("c")]));
  expect(answers.map(({ succeeded }) => succeeded)).toEqual([true, true, true, false]);
  expect(answers[0]?.revision).toBe(answers[1]?.revision);
  expect((await txnsOf(endpoint)) - before).toBe(3);
});

test("without `batch` each is a request of its own, also with autoBatch", async () => {
  await using client = new EtcdClient({ endpoints: cluster.endpoints, autoBatch: true });
  const at = newSpace();
  const [endpoint = ""] = cluster.endpoints;
  const before = await txnsOf(endpoint);
  const answers = await Promise.all(["a", "b", "c"].map((key) => client.txn(putOnce(at + key))));
  expect(answers.every(({ succeeded }) => succeeded)).toBe(true);
  expect((await txnsOf(endpoint)) - before).toBe(3);
});

test("of those that run for one key one wins, whether they write it or only compare it", async () => {
  const at = newSpace();
  const racers = Array.from({ length: 20 }, (_, index) => putOnce(`${at}key`, String(index)));
  const answers = await Promise.all(together(racers));
  expect(answers.map(({ succeeded }) => succeeded)).toEqual([true, ...Array(19).fill(false)]);
  expect((await etcd.get(`${at}key`))?.text).toBe("0");

  const kv = await etcd.get(`${at}key`);
  const asKnown = [compareModRevision(`${at}key`, "equal", kv?.modRevision ?? 0)];
  const [deleted, again, besides] = await Promise.all(
    together([
      { compare: asKnown, success: [deleteOp(`${at}key`)] },
      { compare: asKnown, success: [deleteOp(`${at}key`)] },
      { compare: asKnown, success: [putOp(`${at}besides`, "it is there")] },
    ]),
  );
  expect([deleted, again, besides].map((answer) => answer?.succeeded)).toEqual([true, false, false]);
});

test("several writes of one key are executed in the order of the calls", async () => {
  const at = newSpace();
  const values = Array.from({ length: 10 }, (_, index) => String(index));
  const revisions = await Promise.all(together(values.map((value) => ({ success: [putOp(`${at}key`, value)] }))));
  expect((await etcd.get(`${at}key`))?.text).toBe("9");
  const inOrder = revisions.map(({ revision }) => revision);
  expect(inOrder).toEqual([...new Set(inOrder)].sort((a, b) => a - b));
});

test("a nested step is judged with the key as it was, and the keys that it names are in use as well", async () => {
  const at = newSpace();
  const inner = txnOp({ compare: [keyMissing(`${at}inner`)], success: [putOp(`${at}inner`, "nested")] });
  const [nested, direct] = await Promise.all(together([{ success: [inner] }, putOnce(`${at}inner`, "direct")]));
  expect(nested).toMatchObject({ succeeded: true, responses: [{ type: "txn", succeeded: true }] });
  expect(direct).toMatchObject({ succeeded: false, responses: [{ kvs: [{ text: "nested" }] }] });
});

test("one that etcd refuses refuses no other", async () => {
  const at = newSpace();
  const lease = leaseId("7fffffffffffff02");
  const outcomes = await Promise.allSettled(
    together([
      putOnce(`${at}a`),
      { success: [putOp(`${at}leased`, "v", { lease })] },
      { success: [putOp(`${at}twice`, "1"), putOp(`${at}twice`, "2")] },
      putOnce(`${at}b`),
    ]),
  );
  expect(outcomes).toMatchObject([
    { status: "fulfilled", value: { succeeded: true } },
    { status: "rejected", reason: { code: "ETCD_LEASE_NOT_FOUND" } },
    { status: "rejected", reason: { code: "ETCD_REQUEST_REFUSED" } },
    { status: "fulfilled", value: { succeeded: true } },
  ]);
  const { kvs } = await etcd.range(prefix(at));
  expect(kvs.map(({ key }) => key)).toEqual([`${at}a`, `${at}b`]);
});

test("a signal and a time end their own call only, and it says what is known of the write", async () => {
  const proxy = await FaultProxy.start(cluster.endpoints[0] as string);
  try {
    await using client = new EtcdClient({ endpoints: [`http://127.0.0.1:${proxy.port}`] });
    const at = newSpace();
    await client.get(at);
    const abort = new AbortController();
    const patient = client.txn(putOnce(`${at}a`), { batch: true, timeoutMs: 20_000 });
    const aborted = client.txn(putOnce(`${at}b`), { batch: true, signal: abort.signal });
    const hasty = client.txn(putOnce(`${at}c`), { batch: true, timeoutMs: 50 });
    proxy.delay(300);
    const reason = new Error("not needed any more");
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(hasty).rejects.toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true });
    expect(await patient).toMatchObject({ succeeded: true });
  } finally {
    await proxy.close();
  }
});

test("what names a range, and what only reads, goes by itself and does what it says", async () => {
  const at = newSpace();
  const [endpoint = ""] = cluster.endpoints;
  await Promise.all(together([putOnce(`${at}old/a`), putOnce(`${at}old/b`)]));
  const before = await txnsOf(endpoint);
  const [cleared, read, put] = await Promise.all(
    together([
      { compare: [keyMissing(prefix(`${at}new/`))], success: [deleteOp(prefix(`${at}old/`))] },
      { compare: [compareValue(`${at}other`, "equal", "x")], failure: [getOp(`${at}other`)] },
      putOnce(`${at}put`),
    ]),
  );
  expect(cleared).toMatchObject({ succeeded: true, responses: [{ type: "delete", deleted: 2 }] });
  expect(read).toMatchObject({ succeeded: false, responses: [{ type: "range", kvs: [] }] });
  expect(put).toMatchObject({ succeeded: true });
  expect((await txnsOf(endpoint)) - before).toBe(3);
});

test("what the caller writes into its buffers later is not sent", async () => {
  const at = newSpace();
  const [key, value] = [Buffer.from(`${at}key`), Buffer.from("value")];
  const put = etcd.txn({ compare: [keyMissing(key)], success: [putOp(key, value)] }, { batch: true });
  key.fill(0x78);
  value.fill(0x78);
  expect(await put).toMatchObject({ succeeded: true });
  expect((await etcd.get(`${at}key`))?.text).toBe("value");
});

test.each([
  { flag: "--max-txn-ops=32", value: "v" },
  { flag: "--max-request-bytes=20000", value: "v".repeat(500) },
])("steps get through an etcd with $flag, which is remembered", async ({ flag, value }) => {
  const limited = await startEtcd({ flags: [flag] });
  try {
    await using client = new EtcdClient({ endpoints: limited.endpoints });
    const [endpoint = ""] = limited.endpoints;
    // Each step is three operations deep.
    const step = (key: string): TxnOptions => ({
      compare: [keyMissing(key)],
      success: [putOp(key, value), putOp(`${key}/a`, value), putOp(`${key}/b`, value)],
    });
    const all = async (at: string) => {
      const keys = Array.from({ length: 300 }, (_, index) => at + index);
      const answers = await Promise.all(together(keys.map(step), client));
      expect(answers.every(({ succeeded }) => succeeded)).toBe(true);
    };
    await all("first/");
    const { operations, bytes } = ServerLimits.of(client);
    const before = { refused: await requestsRefused(endpoint), txns: await txnsOf(endpoint) };
    await all("second/");
    expect(ServerLimits.of(client)).toMatchObject({ operations, bytes });
    expect(await requestsRefused(endpoint)).toBe(before.refused);
    // Together still: far fewer requests than steps.
    expect((await txnsOf(endpoint)) - before.txns).toBeLessThan(60);
  } finally {
    await limited.close();
  }
});

test("`batch` is checked by name before anything is sent", async () => {
  const wrong = { batch: "yes" } as never;
  await expect(etcd.txn({}, wrong)).rejects.toMatchObject({ message: expect.stringContaining("batch") });
  await expect(etcd.txn({}, { bacth: true } as never)).rejects.toMatchObject({
    message: expect.stringMatching(/bacth.*batch/),
  });
});
