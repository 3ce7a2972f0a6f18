import { expect, test } from "vitest";
import { deadlineSignal } from "../../../src/internal/deadline-signal.ts";
import { onAbort } from "../../../src/internal/index.ts";

/** A signal whose loss the test decides. */
function decided() {
  const controller = new AbortController();
  const state: { lost?: Error | undefined } = {};
  const signal = deadlineSignal(controller, () => {
    if (state.lost) controller.abort(state.lost);
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
  "asking for %s finds out about a loss and calls the listeners",
  (how) => {
    const { state, signal } = decided();
    const received: unknown[] = [];
    onAbort(signal, () => received.push(signal.reason));
    state.lost = new Error("lost");
    if (how === "throwIfAborted") expect(() => signal.throwIfAborted()).toThrow("lost");
    else expect(signal[how]).toBe(how === "aborted" ? true : state.lost);
    expect(received).toEqual([state.lost]);
    expect(signal.reason).toBe(state.lost);
  },
);

test.each(["aborted", "reason", "throwIfAborted"] as const)(
  "after %s reported a loss no later look takes it back, and the event has fired",
  (how) => {
    const { state, signal } = decided();
    let received = 0;
    onAbort(signal, () => received++);
    const lost = new Error("lost");
    state.lost = lost;
    if (how === "throwIfAborted") expect(() => signal.throwIfAborted()).toThrow(lost);
    else expect(signal[how]).toBe(how === "aborted" ? true : lost);
    state.lost = undefined;
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(lost);
    expect(() => signal.throwIfAborted()).toThrow(lost);
    expect(received).toBe(1);
  },
);

test("a listener that reads the signal sees it aborted and is not called again", () => {
  const { state, signal } = decided();
  const seen: boolean[] = [];
  signal.addEventListener("abort", () => seen.push(signal.aborted));
  state.lost = new Error("lost");
  expect(signal.aborted).toBe(true);
  expect(seen).toEqual([true]);
});

test("once aborted it keeps its first reason", () => {
  const { controller, state, signal } = decided();
  controller.abort(new Error("first"));
  state.lost = new Error("second");
  expect(signal.reason).toMatchObject({ message: "first" });
});

test("a signal made of it by AbortSignal.any() sees the loss at the latest when this one is read", () => {
  const { state, signal } = decided();
  const any = AbortSignal.any([signal]);
  state.lost = new Error("lost");
  expect(signal.aborted).toBe(true);
  expect(any.aborted).toBe(true);
  expect(AbortSignal.any([signal]).aborted).toBe(true);
});

test("signals made of it, and fetch, see the loss", async () => {
  const { state, signal } = decided();
  const any = AbortSignal.any([signal]);
  state.lost = new Error("lost");
  await expect(fetch("http://127.0.0.1:1", { signal })).rejects.toBe(state.lost);
  expect(any.reason).toBe(state.lost);
});
