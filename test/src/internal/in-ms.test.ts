import { expect, test } from "vitest";
import { inMs } from "../../../src/internal/index.ts";

test.each([
  [399.4046370000142, "399 ms"],
  [5_000, "5000 ms"],
  [10.4, "10 ms"],
  [1.5, "2 ms"],
  [0.123456, "0.1 ms"],
  [0, "0 ms"],
  [Number.POSITIVE_INFINITY, "Infinity ms"],
])("%d milliseconds read as %s", (ms, received) => {
  expect(inMs(ms)).toBe(received);
});
