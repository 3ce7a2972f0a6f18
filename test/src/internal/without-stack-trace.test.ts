import { afterEach, expect, test } from "vitest";
import { withoutStackTrace } from "../../../src/internal/without-stack-trace.ts";

const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit") as PropertyDescriptor;
afterEach(() => void Object.defineProperty(Error, "stackTraceLimit", limit));

const made = () => new Error("made");
const framesOf = ({ stack = "" }: Error) => stack.split("\n").filter((line) => line.startsWith("    at "));

test("what is made in it has no stack trace, and what is made after it has one", () => {
  expect(framesOf(made())).not.toEqual([]);
  expect(framesOf(withoutStackTrace(made))).toEqual([]);
  expect(framesOf(made())).not.toEqual([]);
});

test("what it throws changes nothing for others", () => {
  Error.stackTraceLimit = 3;
  const thrower = () => {
    throw made();
  };
  expect(() => withoutStackTrace(thrower)).toThrow("made");
  expect(Error.stackTraceLimit).toBe(3);
});

test("where the limit cannot be set it does its work all the same", () => {
  Object.defineProperty(Error, "stackTraceLimit", { ...limit, writable: false });
  expect(withoutStackTrace(() => 5)).toBe(5);
  expect(framesOf(made())).not.toEqual([]);
});
