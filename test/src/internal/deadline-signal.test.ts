import { expect, test } from "vitest";
import { deadlineSignal } from "../../../src/internal/deadline-signal.ts";
import { onAbort } from "../../../src/internal/index.ts";

/** A signal whose loss and doubt the test decides. */
function decided() {
  const controller = new AbortController();
  const state: { doubt?: Error; lost?: Error } = {};
  const signal = deadlineSignal(controller, () => {
    if (state.lost) controller.abort(state.lost);
    return state.doubt;
  });
  return { controller, state, signal };
}

test("it is an AbortSignal like any other until something is lost", () => {
  const { signal } = decided();
  expect(signal).toBeInstanceOf(AbortSignal);
  expect(signal.aborted).toBe(false);
  expect(signal.reason).toBeUndefined();
  expect(() => signal.throwIfAborted()).not.toThrow();
});

test.each(["aborted", "reason", "throwIfAborted"] as const)(
  "asking for %s finds out about a loss and tells the listeners",
  (how) => {
    const { state, signal } = decided();
    const told: unknown[] = [];
    onAbort(signal, () => told.push(signal.reason));
    state.lost = new Error("lost");
    if (how === "throwIfAborted") expect(() => signal.throwIfAborted()).toThrow("lost");
    else expect(signal[how]).toBe(how === "aborted" ? true : state.lost);
    expect(told).toEqual([state.lost]);
    expect(signal.reason).toBe(state.lost);
  },
);

test("in doubt it reads as aborted, tells no listener, and is whole again when the doubt is over", () => {
  const { state, signal } = decided();
  let told = 0;
  onAbort(signal, () => told++);
  state.doubt = new Error("doubt");
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toBe(state.doubt);
  expect(() => signal.throwIfAborted()).toThrow("doubt");
  state.doubt = undefined;
  expect(signal.aborted).toBe(false);
  expect(told).toBe(0);
});

test("once aborted it keeps its first reason", () => {
  const { controller, state, signal } = decided();
  controller.abort(new Error("first"));
  state.lost = new Error("second");
  expect(signal.reason).toMatchObject({ message: "first" });
});

test("signals made of it, and fetch, see the loss", async () => {
  const { state, signal } = decided();
  const any = AbortSignal.any([signal]);
  state.lost = new Error("lost");
  await expect(fetch("http://127.0.0.1:1", { signal })).rejects.toBe(state.lost);
  expect(any.reason).toBe(state.lost);
});

test("a doubt that passes from one look at the clock to the next has its reason all the same", async () => {
  let looks = 0;
  const doubt = new Error("in doubt");
  const signal = deadlineSignal(new AbortController(), () => (looks++ === 0 ? doubt : undefined));
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toBe(doubt);
  await null;
  expect(signal.aborted).toBe(false);
  expect(signal.reason).toBeUndefined();
});
