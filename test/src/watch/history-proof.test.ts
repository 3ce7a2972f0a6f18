import { expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import { CompactedError, FutureRevisionError, prefix, RequestRefusedError } from "../../../src/index.ts";
import type { RangeOp } from "../../../src/model/op.ts";
import type { HistoryEvidence } from "../../../src/watch/history-evidence.ts";
import { HistoryProofs } from "../../../src/watch/history-proof.ts";
import { storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";
import { FakeClock } from "../../support/fake-clock.ts";

test("proofs with large entries travel in several requests of some 1 MiB, and each has its own answer", async () => {
  const entry = (name: number) => ({
    keyBytes: Buffer.from(`a/${name}`),
    value: Buffer.alloc(200_000, name),
    createRevision: 2,
    modRevision: 3,
    version: 1,
  });
  const asked: number[] = [];
  const protocol: Partial<Protocol> = {
    requestTimeoutMs: 5_000,
    async txn({ success }) {
      asked.push(success.length);
      const responses = (success as RangeOp[]).map(({ range, countOnly }) => {
        const name = Number(Buffer.from(range.start).toString().slice(2));
        const kvs = countOnly ? [] : [storedKeyValue(entry(name))];
        return { type: "range", kvs, count: 1, more: false } as const;
      });
      return { revision: 9, succeeded: true, responses };
    },
  };
  const proofs = new HistoryProofs(protocol as Protocol, new FakeClock());
  const names = Array.from({ length: 12 }, (_, index) => index);
  const held = await Promise.all(
    names.map((name) => {
      // One of them knew another state.
      const known = { ...entry(name), modRevision: name === 7 ? 2 : 3 };
      const evidence = { revision: 3, newest: storedKeyValue(known), count: 1 };
      return proofs.hold({ start: Buffer.from(`a/${name}`) }, evidence, {});
    }),
  );
  expect(held).toEqual(names.map((name) => name !== 7));
  // Two questions each: four proofs to a request.
  expect(asked).toEqual([8, 8, 8]);
});

/** Proofs by an etcd that answers each question by itself, and what it was asked. */
function asking(answer: (op: RangeOp) => number, check: (ops: readonly RangeOp[]) => void = () => {}) {
  const asked: number[] = [];
  const protocol: Partial<Protocol> = {
    requestTimeoutMs: 5_000,
    async txn({ success }) {
      const ops = success as RangeOp[];
      check(ops);
      asked.push(ops.length);
      const responses = ops.map((op) => ({ type: "range", kvs: [], count: answer(op), more: false }) as const);
      return { revision: 9, succeeded: true, responses };
    },
  };
  const proofs = new HistoryProofs(protocol as Protocol, new FakeClock());
  return { asked, hold: (evidence: HistoryEvidence) => proofs.hold(prefix("a/"), evidence, {}) };
}

const gone = (revision?: number) => ({ keyBytes: Buffer.from("a/gone"), revision });
const isGone = ({ range }: RangeOp) => Buffer.from(range.start).toString() === "a/gone";

test("a deletion is proved by the key's state before it and after it", async () => {
  const deletedAt = (at: number) => (op: RangeOp) => (isGone(op) && (op.revision ?? 0) >= at ? 0 : 1);
  const evidence = { revision: 8, count: 1, deleted: [gone(5)] };
  expect(await asking(deletedAt(5)).hold(evidence)).toBe(true);
  expect(await asking(deletedAt(4)).hold(evidence)).toBe(false);
  expect(await asking(deletedAt(6)).hold(evidence)).toBe(false);
  expect(await asking(deletedAt(9)).hold(evidence)).toBe(false);
  // Of a key from a list it is only known that it is gone.
  expect(await asking(deletedAt(4)).hold({ ...evidence, deleted: [gone()] })).toBe(true);
});

test("what is compacted below the revision that was reached is left out, and what is compacted there proves nothing", async () => {
  const compactedBelow = (revision: number) => (ops: readonly RangeOp[]) => {
    if (ops.some((op) => (op.revision ?? 0) < revision)) throw new CompactedError("compacted");
  };
  const answer = (op: RangeOp) => (isGone(op) ? 0 : 1);
  const evidence = { revision: 8, count: 1, deleted: [gone(5)] };
  const readable = asking(answer, compactedBelow(8));
  expect(await readable.hold(evidence)).toBe(true);
  expect(readable.asked).toEqual([2]);
  await expect(asking(answer, compactedBelow(9)).hold(evidence)).rejects.toThrow(CompactedError);
  const wiped = asking(answer, () => {
    throw new FutureRevisionError("future");
  });
  expect(await wiped.hold(evidence)).toBe(false);
});

test("an etcd that takes few operations is asked in parts", async () => {
  const few = (ops: readonly RangeOp[]) => {
    if (ops.length > 2) throw new RequestRefusedError("etcdserver: too many operations in txn request");
  };
  const evidence = { revision: 8, count: 1, deleted: [gone(8), gone(), gone(), gone()] };
  const deletedAt = (at: number) => (op: RangeOp) => (isGone(op) && (op.revision ?? 0) >= at ? 0 : 1);
  const { asked, hold } = asking(deletedAt(8), few);
  expect(await hold(evidence)).toBe(true);
  expect(Math.max(...asked)).toBeLessThanOrEqual(2);
  expect(await asking(deletedAt(7), few).hold(evidence)).toBe(false);
});
