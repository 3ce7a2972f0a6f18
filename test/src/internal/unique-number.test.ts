import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { expect, test, vi } from "vitest";
import { uniqueNumber } from "../../../src/internal/unique-number.ts";
import { leaseId } from "../../../src/model/lease-id.ts";

test("a number for an id is one that etcd takes, and never the same, whatever sequence Math.random has", () => {
  const random = vi.spyOn(Math, "random").mockReturnValue(0.5);
  const numbers = new Set(Array.from({ length: 10_000 }, () => uniqueNumber()));
  expect(numbers.size).toBe(10_000);
  for (const number of numbers) expect(leaseId(number.toString(16))).toBe(number.toString(16));
  expect(random).not.toHaveBeenCalled();
  random.mockRestore();
});

test("each is drawn when it is asked for: a copy of the process, made by a snapshot of its machine, draws others", () => {
  const drawn = vi.spyOn(crypto, "randomBytes");
  syncBuiltinESMExports();
  try {
    for (let count = 1; count <= 200; count++) {
      uniqueNumber();
      expect(drawn.mock.calls).toHaveLength(count);
      expect(drawn).toHaveBeenLastCalledWith(8);
    }
  } finally {
    drawn.mockRestore();
    syncBuiltinESMExports();
  }
});
