import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  allKeys,
  type Compare,
  compareCreateRevision,
  compareLease,
  compareModRevision,
  compareValue,
  compareVersion,
  deleteOp,
  type EtcdError,
  getOp,
  keyExists,
  keyMissing,
  keyRange,
  type LeaseId,
  leaseId,
  type OpResult,
  prefix,
  putOp,
  type RangeSort,
  rangeOp,
  txnOp,
  type WatchEvent,
} from "../../../src/index.ts";
import { bytes, ProtocolLab } from "../../support/protocol-lab.ts";
import { type BothSubjects, startBoth } from "../../support/protocol-subjects.ts";
import { until } from "../../support/until.ts";

// What etcd answers, asked of a real one and of the one in memory that models and fakes stand on.

let both: BothSubjects;

beforeAll(async () => {
  both = await startBoth();
});
afterAll(() => both?.close());

async function refusal(work: Promise<unknown>): Promise<object> {
  try {
    await work;
  } catch (error) {
    const { name, code, message, retryable, outcomeUnknown } = error as EtcdError;
    return { name, code, message, retryable, outcomeUnknown };
  }
  throw new Error("it was not refused");
}

const refused = (name: string, code: string, message: string) => ({
  name,
  code,
  message,
  retryable: false,
  outcomeUnknown: false,
});
const compacted = refused("CompactedError", "ETCD_COMPACTED", "etcdserver: mvcc: required revision has been compacted");
const future = refused(
  "FutureRevisionError",
  "ETCD_FUTURE_REVISION",
  "etcdserver: mvcc: required revision is a future revision",
);
const noLease = refused("LeaseNotFoundError", "ETCD_LEASE_NOT_FOUND", "etcdserver: requested lease not found");
const duplicate = refused(
  "RequestRefusedError",
  "ETCD_REQUEST_REFUSED",
  "etcdserver: duplicate key given in txn request",
);

const gone = leaseId("7fffffffffffff01");

describe.each(["etcd", "memory"] as const)("%s", (which) => {
  const lab = () => new ProtocolLab(both[which]);

  describe("keys", () => {
    test("a put makes a key, the next ones change it, and one after a deletion makes it anew", async () => {
      const etcd = lab();
      const first = await etcd.put("a", "1");
      const second = await etcd.put("a", "2", { previous: true });
      expect(second.revision).toBe(first.revision + 1);
      expect(second.previous).toMatchObject({ text: "1", createRevision: first.revision, version: 1 });
      const { kvs } = await etcd.protocol.range({ range: etcd.one("a") });
      expect(kvs).toHaveLength(1);
      expect(kvs[0]).toMatchObject({
        text: "2",
        createRevision: first.revision,
        modRevision: second.revision,
        version: 2,
      });
      await etcd.delete("a");
      const again = await etcd.put("a", "3", { previous: true });
      expect(again.previous).toBeUndefined();
      const { kvs: anew } = await etcd.protocol.range({ range: etcd.one("a") });
      expect(anew[0]).toMatchObject({ createRevision: again.revision, modRevision: again.revision, version: 1 });
    });

    test("a deletion says how many went, and a revision is made only if one did", async () => {
      const etcd = lab();
      for (const name of ["b", "a", "c"]) await etcd.put(name, name);
      const before = await etcd.revision();
      const none = await etcd.delete("x");
      expect(none).toEqual({ revision: before, deleted: 0, previous: [] });
      const range = keyRange(etcd.key("a"), etcd.key("c"));
      const two = await etcd.protocol.deleteRange({ range, previous: true });
      expect({ ...two, previous: two.previous.map((kv) => [etcd.name(kv), kv.text]) }).toEqual({
        revision: before + 1,
        deleted: 2,
        previous: [
          ["a", "a"],
          ["b", "b"],
        ],
      });
      expect(await etcd.range()).toEqual({ kvs: ["c"], count: 1, more: false });
    });

    test("any bytes are a key, and their order is that of the bytes", async () => {
      const etcd = lab();
      const names = ["\xff", "\x00", "\x7f", "a\x00", "\xc3\x28", "a", "\xff\xff", "\x80", "/", "é"];
      for (const name of names) await etcd.put(name, name);
      const { kvs } = await etcd.range();
      expect(kvs).toEqual([...new Set(names)].sort((a, b) => Buffer.compare(bytes(a), bytes(b))));
      const odd = await etcd.protocol.range({ range: etcd.one("\xff\xff") });
      expect(odd.kvs.map((kv) => [...kv.value])).toEqual([[255, 255]]);
    });

    test("an empty key is refused, an empty value is not", async () => {
      const etcd = lab();
      const empty = refused("RequestRefusedError", "ETCD_REQUEST_REFUSED", "etcdserver: key is not provided");
      const start = new Uint8Array();
      expect(await refusal(etcd.protocol.range({ range: { start } }))).toEqual(empty);
      expect(await refusal(etcd.protocol.put({ key: start, value: start }))).toEqual(empty);
      expect(await refusal(etcd.protocol.deleteRange({ range: { start } }))).toEqual(empty);
      await etcd.put("a", "");
      expect((await etcd.protocol.range({ range: etcd.one("a") })).kvs[0]?.text).toBe("");
    });
  });

  describe("a range", () => {
    const sorts: RangeSort[] = (["key", "version", "createRevision", "modRevision", "value"] as const).flatMap(
      (target) => (["ascend", "descend"] as const).map((order) => ({ target, order })),
    );

    test("is cut after limit keys, which are the first of the order that was asked for", async () => {
      const etcd = lab();
      // Nothing is the same twice, so each order is the only one.
      for (const [name, value, times] of [
        ["b", "3", 2],
        ["d", "1", 4],
        ["a", "4", 3],
        ["c", "2", 1],
      ] as const)
        for (let time = 0; time < times; time++) await etcd.put(name, value);
      const orders = Object.fromEntries(
        await Promise.all(
          sorts.map(
            async (sort) => [`${sort.target} ${sort.order}`, (await etcd.range({ sort })).kvs.join("")] as const,
          ),
        ),
      );
      expect(orders).toEqual({
        "key ascend": "abcd",
        "key descend": "dcba",
        "version ascend": "cbad",
        "version descend": "dabc",
        "createRevision ascend": "bdac",
        "createRevision descend": "cadb",
        "modRevision ascend": "bdac",
        "modRevision descend": "cadb",
        "value ascend": "dcba",
        "value descend": "abcd",
      });
      expect(await etcd.range({ limit: 3 })).toEqual({ kvs: ["a", "b", "c"], count: 4, more: true });
      expect(await etcd.range({ limit: 4 })).toEqual({ kvs: ["a", "b", "c", "d"], count: 4, more: false });
      const newest = { target: "createRevision", order: "descend" } as const;
      expect(await etcd.range({ limit: 1, sort: newest })).toEqual({ kvs: ["c"], count: 4, more: true });
    });

    test("lists keys without values, or only how many there are", async () => {
      const etcd = lab();
      await etcd.put("a", "1");
      await etcd.put("b", "2");
      const { kvs } = await etcd.protocol.range({ range: etcd.all, keysOnly: true });
      expect(kvs.map((kv) => [etcd.name(kv), kv.text, kv.version])).toEqual([
        ["a", "", 1],
        ["b", "", 1],
      ]);
      expect(await etcd.range({ countOnly: true })).toEqual({ kvs: [], count: 2, more: false });
      expect(await etcd.range({ countOnly: true, limit: 1 })).toEqual({ kvs: [], count: 2, more: false });
    });

    test("leaves out what was made later, and counts it", async () => {
      const etcd = lab();
      await etcd.put("c");
      const { revision } = await etcd.put("a");
      await etcd.put("b");
      await etcd.put("c");
      expect(await etcd.range({ maxCreateRevision: revision })).toEqual({ kvs: ["a", "c"], count: 3, more: false });
      const before = {
        maxCreateRevision: revision,
        limit: 1,
        sort: { target: "createRevision", order: "descend" },
      } as const;
      expect(await etcd.range(before)).toEqual({ kvs: ["a"], count: 3, more: true });
      expect(await etcd.range({ minCreateRevision: revision })).toEqual({ kvs: ["a", "b"], count: 3, more: false });
      expect(await etcd.range({ minModRevision: revision + 1 })).toEqual({ kvs: ["b", "c"], count: 3, more: false });
      expect(await etcd.range({ maxModRevision: revision })).toEqual({ kvs: ["a"], count: 3, more: false });
      const both = { minModRevision: revision, maxModRevision: revision + 1, limit: 1 };
      expect(await etcd.range(both)).toEqual({ kvs: ["a"], count: 3, more: true });
    });

    test("ends before its end, and a single zero byte ends after the last key", async () => {
      const etcd = lab();
      for (const name of ["a", "b", "c"]) await etcd.put(name);
      const range = { start: etcd.key("a"), end: etcd.key("c") };
      expect(await etcd.range({}, range)).toEqual({ kvs: ["a", "b"], count: 2, more: false });
      expect(await etcd.range({}, { start: etcd.key("b"), end: etcd.key("a") })).toMatchObject({ kvs: [], count: 0 });
      const rest = await etcd.protocol.range({ range: { start: etcd.key("b"), end: new Uint8Array([0]) }, limit: 2 });
      expect(rest.kvs.map((kv) => etcd.name(kv))).toEqual(["b", "c"]);
    });
  });

  describe("history", () => {
    test("is read at each revision, until that is compacted, and not before it is there", async () => {
      const etcd = lab();
      const { revision: first } = await etcd.put("a", "1");
      await etcd.put("b", "1");
      const { revision: third } = await etcd.put("a", "2");
      await etcd.delete("a");
      const texts = async (revision: number) =>
        (await etcd.protocol.range({ range: etcd.all, revision })).kvs.map((kv) => etcd.name(kv) + kv.text);
      expect(await texts(first)).toEqual(["a1"]);
      expect(await texts(first + 1)).toEqual(["a1", "b1"]);
      expect(await texts(third)).toEqual(["a2", "b1"]);
      expect(await texts(third + 1)).toEqual(["b1"]);
      expect(await refusal(texts(third + 2))).toEqual(future);
      await etcd.compact(third);
      expect(await refusal(texts(third - 1))).toEqual(compacted);
      expect(await texts(third)).toEqual(["a2", "b1"]);
      await etcd.compact(third + 1);
      expect(await texts(third + 1)).toEqual(["b1"]);
      expect((await etcd.protocol.range({ range: etcd.one("a"), revision: third + 1 })).revision).toBe(third + 1);
    });

    test("a txn reads it, too, and is refused whole where it cannot", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a", "1");
      await etcd.put("a", "2");
      const { responses } = await etcd.txn([], [rangeOp(etcd.one("a"), { revision }), getOp(etcd.key("a"))]);
      expect(responses.map(onlyText)).toEqual(["1", "2"]);
      await etcd.compact(revision + 1);
      const write = putOp(etcd.key("b"), "v");
      expect(await refusal(etcd.txn([], [write, rangeOp(etcd.one("a"), { revision })]))).toEqual(compacted);
      const later = rangeOp(etcd.one("a"), { revision: revision + 2 });
      expect(await refusal(etcd.txn([], [write, later]))).toEqual(future);
      // In the branch that is not taken it does not matter.
      await etcd.txn([keyExists(etcd.key("x"))], [later], []);
      expect(await etcd.range()).toMatchObject({ kvs: ["a"] });
    });
  });

  describe("a txn", () => {
    test("compares one key, or each key of a range", async () => {
      const etcd = lab();
      const lease = (await etcd.protocol.leaseGrant(etcd.newLeaseId(), 60)).id;
      const { revision } = await etcd.put("a", "m");
      await etcd.put("a", "m", { lease });
      await etcd.put("b", "n");
      const [a, x] = [etcd.key("a"), etcd.key("x")];
      const holds = async (compare: Compare) => (await etcd.txn([compare], [])).succeeded;
      const outcomes = {
        missing: [keyMissing(a), keyMissing(x)],
        exists: [keyExists(a), keyExists(x)],
        version: [compareVersion(a, "equal", 2), compareVersion(a, "less", 2), compareVersion(x, "equal", 0)],
        create: [compareCreateRevision(a, "equal", revision), compareCreateRevision(a, "greater", revision)],
        mod: [compareModRevision(a, "greater", revision), compareModRevision(x, "equal", 0)],
        value: [compareValue(a, "equal", "m"), compareValue(a, "less", "n"), compareValue(a, "greater", "n")],
        lease: [compareLease(a, "equal", lease), compareLease(a, "equal"), compareLease(x, "equal")],
        notEqual: [compareVersion(a, "notEqual", 1), compareValue(a, "notEqual", "m")],
        // Who is not there has no value to compare.
        noValue: [compareValue(x, "equal", ""), compareValue(x, "notEqual", "m")],
        range: [compareValue(etcd.all, "less", "z"), compareValue(etcd.all, "less", "n"), keyExists(etcd.all)],
        noRange: [keyMissing(prefix(etcd.key("x"))), compareVersion(prefix(etcd.key("x")), "greater", 0)],
      };
      const answers: Record<string, boolean[]> = {};
      for (const [name, compares] of Object.entries(outcomes)) answers[name] = await Promise.all(compares.map(holds));
      expect(answers).toEqual({
        missing: [false, true],
        exists: [true, false],
        version: [true, false, true],
        create: [true, false],
        mod: [true, true],
        value: [true, true, false],
        lease: [true, false, true],
        notEqual: [true, false],
        noValue: [false, false],
        range: [true, false, true],
        noRange: [true, false],
      });
    });

    test("is one revision, and each operation sees those before it", async () => {
      const etcd = lab();
      await etcd.put("a", "1");
      const before = await etcd.revision();
      const { succeeded, revision, responses } = await etcd.txn(
        [],
        [
          getOp(etcd.key("a")),
          putOp(etcd.key("a"), "2", { previous: true }),
          getOp(etcd.key("a")),
          putOp(etcd.key("b"), "1"),
          rangeOp(etcd.all, { countOnly: true }),
          deleteOp(etcd.key("c")),
        ],
      );
      expect({ succeeded, revision }).toEqual({ succeeded: true, revision: before + 1 });
      expect(responses.map(shortly)).toEqual(["1", "put over 1", "2", "put", "2 keys", "0 deleted"]);
      const { kvs } = await etcd.protocol.range({ range: etcd.all });
      expect(kvs.map(({ modRevision }) => modRevision)).toEqual([before + 1, before + 1]);
      const reads = await etcd.txn([keyMissing(etcd.key("a"))], [], [getOp(etcd.key("a"))]);
      expect(reads).toMatchObject({ succeeded: false, revision: before + 1 });
    });

    test("within one sees the keys as the outer one found them when it compares, and as they are when it is executed", async () => {
      const etcd = lab();
      const a = etcd.key("a");
      const { revision, responses } = await etcd.txn(
        [],
        [
          putOp(a, "1"),
          txnOp({ compare: [keyMissing(a)], success: [getOp(a), putOp(etcd.key("b"), "1")], failure: [] }),
          txnOp({ compare: [keyExists(a)], success: [], failure: [txnOp({ success: [getOp(etcd.key("b"))] })] }),
        ],
      );
      expect(responses.map(shortly)).toEqual(["put", "yes: 1, put", "no: yes: 1"]);
      const { kvs } = await etcd.protocol.range({ range: etcd.all });
      expect(kvs.map(({ modRevision }) => modRevision)).toEqual([revision, revision]);
    });

    test("that writes one key twice is refused whole; two branches of one within may", async () => {
      const etcd = lab();
      const [a, b] = [putOp(etcd.key("a"), "1"), putOp(etcd.key("b"), "1")];
      for (const ops of [
        [a, a],
        [a, deleteOp(etcd.key("a"))],
        [a, deleteOp(etcd.all)],
        [a, txnOp({ success: [a] })],
        [txnOp({ success: [a] }), txnOp({ failure: [a] })],
        [deleteOp(etcd.all), txnOp({ failure: [b] })],
        [txnOp({ success: [deleteOp(etcd.key("a"))] }), a],
      ]) {
        expect(await refusal(etcd.txn([], ops))).toEqual(duplicate);
        expect(await refusal(etcd.txn([], [], ops))).toEqual(duplicate);
      }
      expect(await etcd.range()).toMatchObject({ count: 0 });
      await etcd.txn([], [txnOp({ success: [a], failure: [a] }), b]);
      await etcd.txn([], [deleteOp(etcd.key("a")), deleteOp(etcd.all)]);
      expect(await etcd.range()).toMatchObject({ count: 0 });
    });

    test("may put a key and delete all keys, or all from one on", async () => {
      const etcd = lab();
      const rest = { start: etcd.key(""), end: new Uint8Array([0]) };
      const a = putOp(etcd.key("a"), "1");
      for (const range of [allKeys(), rest]) {
        await etcd.put("b");
        const before = await etcd.revision();
        const kept = await etcd.txn([], [deleteOp(range), a]);
        expect(kept.revision).toBe(before + 1);
        expect(await etcd.range()).toMatchObject({ kvs: ["a"] });
        await etcd.txn([], [a, deleteOp(range)]);
        expect(await etcd.range()).toMatchObject({ count: 0 });
        await etcd.txn([], [txnOp({ success: [deleteOp(range)] }), a]);
        await etcd.txn([], [txnOp({ success: [a] }), txnOp({ success: [deleteOp(range)] })]);
        expect(await etcd.range()).toMatchObject({ count: 0 });
        const others = [deleteOp(range), deleteOp(etcd.key("a")), a];
        expect(await refusal(etcd.txn([], others))).toEqual(duplicate);
      }
    });

    test("has room for 128 operations, each level for what those above it leave", async () => {
      const etcd = lab();
      const puts = (count: number) => Array.from({ length: count }, (_, index) => putOp(etcd.key(`${index}`), "v"));
      const tooMany = refused(
        "RequestRefusedError",
        "ETCD_REQUEST_REFUSED",
        "etcdserver: too many operations in txn request",
      );
      await etcd.txn([], puts(128));
      expect(await refusal(etcd.txn([], puts(129)))).toEqual(tooMany);
      await etcd.txn([], [txnOp({ success: puts(127) })]);
      expect(await refusal(etcd.txn([], [txnOp({ success: puts(128) })]))).toEqual(tooMany);
      expect(await refusal(etcd.txn([], [], [txnOp({ failure: puts(128) })]))).toEqual(tooMany);
    });

    test("with a lease that is gone is refused whole, unless that is in a branch that is not taken", async () => {
      const etcd = lab();
      const bad = putOp(etcd.key("b"), "v", { lease: gone });
      const good = putOp(etcd.key("a"), "v");
      expect(await refusal(etcd.txn([], [good, bad]))).toEqual(noLease);
      expect(await refusal(etcd.txn([], [good, txnOp({ success: [bad] })]))).toEqual(noLease);
      expect(await etcd.range()).toMatchObject({ count: 0 });
      await etcd.txn([], [good, txnOp({ failure: [bad] })], [bad]);
      expect(await etcd.range()).toMatchObject({ kvs: ["a"] });
    });

    test("that is refused for several reasons says the first of its puts, in order, and then of its ranges", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a");
      const noLeaseOf = (name: string) => putOp(etcd.key(name), "v", { lease: gone });
      const keepsNothing = putOp(etcd.key("x"), "", { ignoreValue: true });
      const later = rangeOp(etcd.one("a"), { revision: revision + 9 });
      expect(await refusal(etcd.txn([], [later, noLeaseOf("b")]))).toEqual(noLease);
      expect(await refusal(etcd.txn([], [later, txnOp({ success: [noLeaseOf("b")] })]))).toEqual(noLease);
      expect(await refusal(etcd.txn([], [txnOp({ success: [noLeaseOf("b")] }), keepsNothing]))).toEqual(noLease);
      expect(await refusal(etcd.txn([], [keepsNothing, txnOp({ success: [noLeaseOf("b")] })]))).toMatchObject({
        message: "etcdserver: key not found",
      });
      await etcd.compact(revision);
      const earlier = rangeOp(etcd.one("a"), { revision: revision - 1 });
      expect(await refusal(etcd.txn([], [txnOp({ success: [earlier] }), later]))).toEqual(compacted);
    });
  });

  describe("a lease", () => {
    test("is granted once, for two seconds at least", async () => {
      const etcd = lab();
      const id = etcd.newLeaseId();
      expect(await etcd.protocol.leaseGrant(id, 1)).toEqual({ id, ttlSeconds: 2 });
      expect(await refusal(etcd.protocol.leaseGrant(id, 60))).toEqual(
        refused("ConflictError", "ETCD_CONFLICT", "etcdserver: lease already exists"),
      );
      expect(await refusal(etcd.protocol.leaseGrant(etcd.newLeaseId(), 9_000_000_001))).toMatchObject({
        name: "RequestRefusedError",
        message: "etcdserver: too large lease TTL",
      });
      await etcd.protocol.leaseRevoke(id);
    });

    test("reports its time and its keys; one that is gone says so", async () => {
      const etcd = lab();
      const id = etcd.newLeaseId();
      await etcd.protocol.leaseGrant(id, 60);
      for (const name of ["b", "a"]) await etcd.put(name, "v", { lease: id });
      const received = await etcd.protocol.leaseTimeToLive(id, true);
      expect(received.grantedSeconds).toBe(60);
      expect([58, 59]).toContain(received.remainingSeconds);
      expect(received.keys.map((key) => bytes(key).toString("latin1").slice(etcd.root.length)).sort()).toEqual([
        "a",
        "b",
      ]);
      expect((await etcd.protocol.leaseTimeToLive(id, false)).keys).toEqual([]);
      // Put without it, or on another one, or deleted: it is not there any more.
      await etcd.put("a");
      await etcd.delete("b");
      expect((await etcd.protocol.leaseTimeToLive(id, true)).keys).toEqual([]);
      await etcd.protocol.leaseRevoke(id);
      expect(await etcd.range()).toMatchObject({ kvs: ["a"] });
      expect(await etcd.protocol.leaseTimeToLive(id, true)).toEqual({
        remainingSeconds: -1,
        grantedSeconds: 0,
        keys: [],
      });
      expect(await refusal(etcd.protocol.leaseRevoke(id))).toEqual(noLease);
      expect(await refusal(etcd.put("c", "v", { lease: id }))).toEqual(noLease);
    });

    test("takes its keys with it, in order and at one revision, when it is revoked", async () => {
      const etcd = lab();
      const id = etcd.newLeaseId();
      await etcd.protocol.leaseGrant(id, 60);
      const before = await etcd.revision();
      for (const name of ["c", "a", "b"]) await etcd.put(name, "v", { lease: id });
      const watch = await etcd.watch(before + 4);
      await etcd.protocol.leaseRevoke(id);
      const events = await watch.untilEvents(3);
      expect(events.map(({ type, kv }) => [type, etcd.name(kv), kv.modRevision - before])).toEqual([
        ["delete", "a", 4],
        ["delete", "b", 4],
        ["delete", "c", 4],
      ]);
      expect(await etcd.revision()).toBe(before + 4);
      watch.close();
    });

    test("that is not renewed ends, not before its time; one that is renewed goes on", async () => {
      const etcd = lab();
      const [left, kept] = [etcd.newLeaseId(), etcd.newLeaseId()];
      const beganMs = performance.now();
      for (const id of [left, kept]) await etcd.protocol.leaseGrant(id, 2);
      await etcd.put("left", "v", { lease: left });
      await etcd.put("kept", "v", { lease: kept });
      const answers: { id: LeaseId; ttlSeconds: number }[] = [];
      const [endpoint] = etcd.protocol.streamEndpoints();
      if (!endpoint) throw new Error("there is one");
      const stream = await etcd.protocol.openKeepAlive(endpoint, 2_000, {
        onMessage: (answer) => answers.push(answer),
        onEnd: () => {},
      });
      await until(async () => {
        stream.renew(kept);
        return (await etcd.range()).kvs.length === 1;
      });
      expect(performance.now() - beganMs).toBeGreaterThanOrEqual(1_999);
      expect(await etcd.range()).toMatchObject({ kvs: ["kept"] });
      stream.renew(left);
      const last = await until(() => answers.find(({ id }) => id === left));
      expect(last.ttlSeconds).toBe(0);
      expect(answers.filter(({ id }) => id === kept).every(({ ttlSeconds }) => ttlSeconds === 2)).toBe(true);
      stream.close();
      await etcd.protocol.leaseRevoke(kept);
    });
  });

  describe("a watch", () => {
    test("reports each event from its start on, in order, and those of one revision together", async () => {
      const etcd = lab();
      await etcd.put("a", "0");
      const { revision } = await etcd.put("a", "1");
      await etcd.txn([], [putOp(etcd.key("c"), "1"), putOp(etcd.key("b"), "1"), deleteOp(etcd.key("a"))]);
      const watch = await etcd.watch(revision);
      await watch.untilEvents(4);
      await etcd.put("d", "1");
      await etcd.txn([], [putOp(etcd.key("f"), "1"), putOp(etcd.key("e"), "1")]);
      const events = await watch.untilEvents(7);
      expect(
        events.map(({ type, kv }) => `${type} ${etcd.name(kv)}=${kv.text} at ${kv.modRevision - revision}`),
      ).toEqual([
        "put a=1 at 0",
        "put c=1 at 1",
        "put b=1 at 1",
        "delete a= at 1",
        "put d=1 at 2",
        "put f=1 at 3",
        "put e=1 at 3",
      ]);
      const deletion = events[3]?.kv;
      expect(deletion).toMatchObject({ createRevision: 0, version: 0 });
      expect(watch.responses.at(-1)).toMatchObject({ headerRevision: revision + 3, fragment: false });
      expect(watch.responses.at(-1)?.events).toHaveLength(2);
      expect(watch.ends).toEqual([]);
      watch.close();
    });

    test("reports what was there before, if it is asked to and that was not compacted", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a", "1");
      await etcd.put("a", "2");
      await etcd.delete("a");
      await etcd.put("a", "3");
      const previous = (events: readonly WatchEvent[]) => events.map(({ previous: kv }) => kv?.text);
      const watch = await etcd.watch(revision, { previous: true });
      expect(previous(await watch.untilEvents(4))).toEqual([undefined, "1", "2", undefined]);
      watch.close();
      // Not at the deletion: some releases no longer report one that was compacted at its very revision.
      await etcd.put("a", "4");
      await etcd.put("a", "5");
      await etcd.compact(revision + 4);
      const later = await etcd.watch(revision + 4, { previous: true });
      expect(previous(await later.untilEvents(2))).toEqual([undefined, "4"]);
      later.close();
      const without = await etcd.watch(revision + 5);
      expect(previous(await without.untilEvents(1))).toEqual([undefined]);
      without.close();
    });

    test("reports nothing before a key that is deleted and made anew at one revision", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a", "1");
      const watch = await etcd.watch(revision + 1, { previous: true });
      const [rest, a] = [deleteOp({ start: etcd.key("a"), end: new Uint8Array([0]) }), etcd.key("a")];
      await etcd.txn([], [rest, putOp(a, "2")]);
      await etcd.txn([], [putOp(a, "3"), rest]);
      const events = await watch.untilEvents(4);
      expect(events.map(({ type, kv, previous }) => `${type} ${kv.text} after ${previous?.text}`)).toEqual([
        "delete  after 1",
        "put 2 after undefined",
        "put 3 after 2",
        "delete  after 2",
      ]);
      watch.close();
    });

    test("leaves out the events that are not wanted, also of one revision", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a", "1");
      await etcd.txn([], [putOp(etcd.key("b"), "1"), deleteOp(etcd.key("a"))]);
      await etcd.put("a", "2");
      const namesOf = (events: readonly WatchEvent[]) => events.map(({ type, kv }) => `${type} ${etcd.name(kv)}`);
      const puts = await etcd.watch(revision, { filters: ["delete"] });
      expect(namesOf(await puts.untilEvents(3))).toEqual(["put a", "put b", "put a"]);
      puts.close();
      const deletions = await etcd.watch(revision, { filters: ["put"] });
      await etcd.delete("b");
      expect(namesOf(await deletions.untilEvents(2))).toEqual(["delete a", "delete b"]);
      deletions.close();
    });

    test("that begins before a compaction learns how far that went, and ends", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a", "1");
      await etcd.put("a", "2");
      await etcd.put("a", "3");
      await etcd.compact(revision + 1);
      const watch = await etcd.watch(revision);
      await watch.until((responses) => responses.some(({ canceled }) => canceled));
      expect(watch.responses.at(-1)).toMatchObject({
        watchId: "0",
        created: false,
        canceled: true,
        cancelReason: "",
        compactRevision: revision + 1,
        headerRevision: 0,
        events: [],
      });
      watch.close();
      const atIt = await etcd.watch(revision + 1);
      expect((await atIt.untilEvents(2)).map(({ kv }) => kv.text)).toEqual(["2", "3"]);
      atIt.close();
    });

    test("may begin in the future, and waits for it", async () => {
      const etcd = lab();
      const now = await etcd.revision();
      const watch = await etcd.watch(now + 2);
      await etcd.put("a");
      await etcd.put("b");
      const events = await watch.untilEvents(1);
      expect(events.map(({ kv }) => etcd.name(kv))).toEqual(["b"]);
      watch.close();
    });

    test("of no keys is refused under the number of no watch, and the stream goes on", async () => {
      const etcd = lab();
      const watch = await etcd.watch(1, { range: { start: etcd.key("b"), end: etcd.key("a") } });
      expect(watch.responses[0]).toMatchObject({
        watchId: "-1",
        created: true,
        canceled: true,
        cancelReason: "mvcc: watcher range is empty",
      });
      watch.create();
      await watch.until((responses) => responses.length === 2);
      expect(watch.ends).toEqual([]);
      watch.close();
    });

    test("has the number that it asks for, unless another one has it", async () => {
      const etcd = lab();
      const watch = await etcd.watch((await etcd.revision()) + 1);
      for (const id of ["7", "1", "0", "7"]) watch.create(id);
      await watch.until((responses) => responses.length === 5);
      expect(watch.responses.map(({ watchId, created, canceled }) => [watchId, created, canceled])).toEqual([
        ["0", true, false],
        ["7", true, false],
        ["1", true, false],
        ["2", true, false],
        ["-1", true, true],
      ]);
      expect(watch.responses.at(-1)?.cancelReason).toBe("mvcc: duplicate watch ID provided on the WatchStream");
      watch.close();
    });

    test("that is cancelled says so, and others of its stream go on", async () => {
      const etcd = lab();
      const now = await etcd.revision();
      const watch = await etcd.watch(now + 1);
      watch.create();
      await watch.until((responses) => responses.filter(({ created }) => created).length === 2);
      expect(watch.responses.map(({ watchId }) => watchId)).toEqual(["0", "1"]);
      watch.cancel("0");
      await watch.until((responses) => responses.some(({ canceled }) => canceled));
      expect(watch.responses.at(-1)).toMatchObject({ watchId: "0", canceled: true, compactRevision: 0 });
      await etcd.put("a");
      await watch.untilEvents(1);
      expect(watch.responses.at(-1)).toMatchObject({ watchId: "1" });
      watch.close();
    });

    test("answers a request for progress under the number of no watch", async () => {
      const etcd = lab();
      const { revision } = await etcd.put("a");
      const watch = await etcd.watch(revision + 1);
      await until(() => {
        watch.requestProgress();
        return watch.responses.some(({ watchId }) => watchId === "-1");
      });
      expect(watch.responses.at(-1)).toMatchObject({ watchId: "-1", headerRevision: revision, events: [] });
      watch.close();
    });
  });

  describe("a namespace", () => {
    test("is put before every key, and taken off again", async () => {
      const etcd = lab();
      const within = etcd.protocol.within(bytes(`${etcd.root}n/`));
      const [a, b] = [bytes("a"), bytes("b")];
      const id = etcd.newLeaseId();
      await etcd.protocol.leaseGrant(id, 60);
      await etcd.put("a", "outside", { lease: id });
      await etcd.put("n0", "above");
      await within.put({ key: a, value: bytes("1"), lease: id });
      const again = await within.put({ key: a, value: bytes("2"), lease: id, previous: true });
      expect(again.previous).toMatchObject({ key: "a", text: "1" });
      const { succeeded, responses } = await within.txn({
        compare: [compareValue(a, "equal", "2"), compareValue(allKeys(), "less", "3")],
        success: [putOp(b, "1"), txnOp({ success: [getOp(a), rangeOp(allKeys())] })],
        failure: [],
      });
      expect(succeeded).toBe(true);
      expect(responses.map(shortly)).toEqual(["put", "yes: 2, 2"]);
      expect((await within.range({ range: allKeys() })).kvs.map(({ key, text }) => key + text)).toEqual(["a2", "b1"]);
      expect((await within.range({ range: prefix("b") })).kvs.map(({ key }) => key)).toEqual(["b"]);
      expect((await within.range({ range: { start: new Uint8Array() } })).count).toBe(0);
      const { keys } = await within.leaseTimeToLive(id, true);
      expect(keys.map((key) => Buffer.from(key).toString())).toEqual(["a"]);
      const { deleted, previous } = await within.deleteRange({ range: allKeys(), previous: true });
      expect([deleted, ...previous.map(({ key }) => key)]).toEqual([2, "a", "b"]);
      expect(await etcd.range()).toMatchObject({ kvs: ["a", "n0"] });
      await etcd.protocol.leaseRevoke(id);
    });

    test("nests, and each watch of a stream can have its own", async () => {
      const etcd = lab();
      const nested = etcd.protocol.within(bytes(etcd.root)).within(bytes("x/"));
      const { revision } = await nested.put({ key: bytes("k"), value: bytes("1") });
      const [endpoint] = etcd.protocol.streamEndpoints();
      if (!endpoint) throw new Error("there is one");
      const events: string[] = [];
      const stream = await etcd.protocol.openWatch(endpoint, 2_000, {
        onMessage: ({ watchId, events: ofOne }) =>
          events.push(...ofOne.map(({ kv, previous }) => `${watchId} ${kv.key}=${kv.text} after ${previous?.text}`)),
        onEnd: () => {},
        namespaceBytes: (watchId) => (watchId === "1" ? etcd.root.length + 2 : 0),
      });
      const from = { startRevision: revision, previous: true };
      stream.create({ ...from, range: allKeys(), namespace: bytes(`${etcd.root}x/`), watchId: "1" });
      stream.create({ ...from, range: etcd.all, watchId: "2" });
      await nested.put({ key: bytes("k"), value: bytes("2") });
      await etcd.put("y", "outside");
      await until(() => events.length === 5);
      const inOrder = (id: string) => events.filter((event) => event.startsWith(id));
      expect(inOrder("1")).toEqual(["1 k=1 after undefined", "1 k=2 after 1"]);
      const full = `2 ${etcd.root}`;
      expect(inOrder("2")).toEqual([
        `${full}x/k=1 after undefined`,
        `${full}x/k=2 after 1`,
        `${full}y=outside after undefined`,
      ]);
      stream.close();
    });
  });

  test("a request may have 1.5 MiB, and is refused whole beyond", async () => {
    const etcd = lab();
    const most = 1.5 * 2 ** 20;
    await etcd.put("a", "x".repeat(most - 200));
    const tooLarge = { name: "RequestRefusedError", beyond: "requestBytes", outcomeUnknown: false };
    const [large, larger] = ["x".repeat(most), "x".repeat(most + 600_000)];
    await expect(etcd.put("b", large)).rejects.toMatchObject(tooLarge);
    await expect(etcd.put("b", larger)).rejects.toMatchObject(tooLarge);
    const halves = ["b", "c"].map((name) => putOp(etcd.key(name), "x".repeat(most / 2)));
    await expect(etcd.txn([], halves)).rejects.toMatchObject(tooLarge);
    const message = "etcdserver: request is too large";
    expect(await refusal(etcd.put("b", large))).toEqual(
      refused("RequestRefusedError", "ETCD_REQUEST_REFUSED", message),
    );
    expect(await etcd.range()).toMatchObject({ kvs: ["a"] });
    await etcd.delete("a");
  });

  test("a put keeps the value or the lease that the key has, and is refused where there is no such key", async () => {
    const etcd = lab();
    const id = etcd.newLeaseId();
    await etcd.protocol.leaseGrant(id, 60);
    await etcd.put("a", "1", { lease: id });
    const put = { key: etcd.key("a"), value: bytes("") };
    await etcd.protocol.put({ ...put, value: bytes("2"), ignoreLease: true });
    expect((await etcd.protocol.range({ range: etcd.one("a") })).kvs[0]).toMatchObject({ text: "2", lease: id });
    await etcd.protocol.put({ ...put, ignoreValue: true });
    const [kv] = (await etcd.protocol.range({ range: etcd.one("a") })).kvs;
    expect(kv).toMatchObject({ text: "2", version: 3 });
    expect(kv?.lease).toBeUndefined();
    const noKey = refused("RequestRefusedError", "ETCD_REQUEST_REFUSED", "etcdserver: key not found");
    for (const kept of [{ ignoreValue: true }, { ignoreLease: true }]) {
      const missing = { ...put, key: etcd.key("x"), ...kept };
      expect(await refusal(etcd.protocol.put(missing))).toEqual(noKey);
      expect(await refusal(etcd.txn([], [{ type: "put", ...missing }]))).toEqual(noKey);
    }
    // What is missing first depends on the call.
    const neither = { ...put, key: etcd.key("x"), ignoreValue: true, lease: gone };
    expect(await refusal(etcd.protocol.put(neither))).toEqual(noLease);
    expect(await refusal(etcd.txn([], [{ type: "put", ...neither }]))).toEqual(noKey);
    await etcd.protocol.leaseRevoke(id);
  });

  test("a compaction is made once, and not of what is yet to come", async () => {
    const etcd = lab();
    const { revision } = await etcd.put("a");
    await etcd.protocol.compact(revision, true);
    expect(await refusal(etcd.protocol.compact(revision, false))).toEqual(compacted);
    expect(await refusal(etcd.protocol.compact(revision + 1, false))).toEqual(future);
  });

  test("leases are listed, the one first that ends first", async () => {
    const etcd = lab();
    const [long, short] = [etcd.newLeaseId(), etcd.newLeaseId()];
    await etcd.protocol.leaseGrant(long, 600);
    await etcd.protocol.leaseGrant(short, 60);
    const own = (await etcd.protocol.leaseLeases()).filter((id) => id === long || id === short);
    expect(own).toEqual([short, long]);
    for (const id of own) await etcd.protocol.leaseRevoke(id);
    expect(await etcd.protocol.leaseLeases()).not.toContain(long);
  });

  test("it is healthy, has one member and no alarm, and asks no one for a name", async () => {
    const { protocol } = lab();
    const asked: (typeof protocol.endpoints)[number][] = [];
    await protocol.readLinearizably(undefined, asked);
    expect(asked.map(({ url }) => url)).toEqual(protocol.endpoints.map(({ url }) => url));
    const [member, ...others] = await protocol.admin.memberList(false);
    expect(others).toEqual([]);
    expect(member).toMatchObject({ id: (await protocol.memberStatus(undefined)).memberId, isLearner: false });
    expect(member?.clientUrls).toHaveLength(1);
    expect(await protocol.admin.alarms()).toEqual([]);
    expect(await protocol.admin.authStatus()).toMatchObject({ enabled: false });
    await protocol.admin.defragment(undefined);
  });

  test("a member describes itself", async () => {
    const etcd = lab();
    const { memberId, leaderId, revision, version, raftTerm, dbSizeBytes } =
      await etcd.protocol.memberStatus(undefined);
    expect(leaderId).toBe(memberId);
    expect(memberId).toMatch(/^[0-9a-f]+$/);
    expect(version).toMatch(/^3\.\d+\.\d+$/);
    expect(raftTerm).toBeGreaterThan(0);
    expect(dbSizeBytes).toBeGreaterThan(0);
    expect(revision).toBe(await etcd.revision());
  });

  test("an aborted call rejects with the reason of its signal", async () => {
    const etcd = lab();
    const reason = new Error("not any more");
    await expect(etcd.protocol.range({ range: etcd.all }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

function onlyText(result: OpResult | undefined): string | undefined {
  return result?.type === "range" ? result.kvs[0]?.text : undefined;
}

function shortly(result: OpResult): string {
  switch (result.type) {
    case "put":
      return result.previous ? `put over ${result.previous.text}` : "put";
    case "delete":
      return `${result.deleted} deleted`;
    case "txn":
      return `${result.succeeded ? "yes" : "no"}: ${result.responses.map(shortly).join(", ")}`;
    default:
      return result.kvs[0]?.text ?? `${result.count} keys`;
  }
}
