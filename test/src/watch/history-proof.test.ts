import { expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import type { RangeOp } from "../../../src/model/op.ts";
import { HistoryProofs } from "../../../src/watch/history-proof.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { storedKeyValue } from "../../support/stored-key-value.ts";

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
      const evidence = { revision: 3, entry: storedKeyValue(known), count: 1 };
      return proofs.hold({ start: Buffer.from(`a/${name}`) }, evidence, {});
    }),
  );
  expect(held).toEqual(names.map((name) => name !== 7));
  // Two questions each: five, five and two proofs.
  expect(asked).toEqual([10, 10, 4]);
});
