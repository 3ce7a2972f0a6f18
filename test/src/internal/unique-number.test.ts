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
