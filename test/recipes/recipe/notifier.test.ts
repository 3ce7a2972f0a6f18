import { EventEmitter } from "node:events";
import { afterEach, expect, test, vi } from "vitest";
import { type CommonEvents, Notifier } from "../../../recipes/recipe/index.ts";
import { asError, ProcessWarnings } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

interface Events extends CommonEvents {
  news: [text: string];
}

class TestNotifier extends Notifier<Events> {
  report(text: string): void {
    this.notify("news", text);
  }

  warn(error: Error): void {
    this.notify("warning", error);
  }
}

afterEach(() => void vi.restoreAllMocks());

/** What the process is warned of. */
function processWarnings() {
  const warned: { readonly message: string; readonly detail: string; readonly type: string; readonly code: string }[] =
    [];
  vi.spyOn(process, "emitWarning").mockImplementation((message: unknown, options: unknown) => {
    warned.push({ message, ...(options as object) } as never);
  });
  return warned;
}

test("a listener that throws, or rejects, while nothing listens for warnings is a warning of the process, with its stack", async () => {
  const warned = processWarnings();
  const notifier = new TestNotifier();
  notifier.on("news", function brokenListener() {
    throw new Error("boom");
  });
  notifier.on("news", async function lateListener() {
    throw new Error("late");
  });
  notifier.report("a");
  await Promise.resolve();
  await Promise.resolve();
  expect(warned).toMatchObject([
    { message: 'a listener of "news" failed: boom', type: "ListenerFailedError", code: "ETCD_LISTENER_FAILED" },
    { message: 'a listener of "news" failed: late', type: "ListenerFailedError", code: "ETCD_LISTENER_FAILED" },
  ]);
  expect(warned[0]?.detail).toContain("brokenListener");
  expect(warned[1]?.detail).toContain("lateListener");
});

test("a long name in what nothing listens for is cut in the middle, in the message and in the stack", () => {
  const warned = processWarnings();
  const notifier = new TestNotifier();
  const name = "n".repeat(130_000);
  notifier.on("news", () => {
    throw new Error(`${name} is away, says ${name}: come back later`);
  });
  notifier.report("a");
  notifier.warn(new Error(`${name} is away`));
  expect(warned).toHaveLength(2);
  for (const { message, detail } of warned) {
    expect(message.length + detail.length).toBeLessThan(15_000);
    expect(message).toContain("is away");
    expect(detail).toContain("notifier.test.ts");
  }
  expect(warned[0]?.message).toMatch(/: come back later$/);
});

test("every warning that nothing listens for is one of the process; a listener takes it", () => {
  const warned = processWarnings();
  const notifier = new TestNotifier();
  notifier.warn(new Error("away"));
  expect(warned).toMatchObject([{ message: "away", type: "Error" }]);
  expect(warned[0]?.detail).toContain("notifier.test.ts");
  const heard: string[] = [];
  notifier.on("warning", ({ message }) => heard.push(message));
  notifier.warn(new Error("still away"));
  expect(heard).toEqual(["still away"]);
  expect(warned).toHaveLength(1);
});

test("a listener for warnings that fails is a warning of the process", () => {
  const warned = processWarnings();
  const notifier = new TestNotifier();
  notifier.on("warning", () => {
    throw new Error("boom");
  });
  notifier.warn(new Error("away"));
  expect(warned).toMatchObject([{ message: 'a listener of "warning" failed: boom' }]);
});

test("the same warning comes once a minute at most, whatever comes between, and what is odd about it harms nothing", () => {
  const warned = processWarnings();
  const clock = new FakeClock();
  const warnings = new ProcessWarnings(clock);
  for (let second = 0; second < 150; second++) {
    warnings.emit(new Error("away"));
    warnings.emit(new Error(second % 2 ? "odd" : "even"));
    clock.advance(1_000);
  }
  const count = (text: string) => warned.filter(({ message }) => message === text).length;
  expect([count("away"), count("odd"), count("even")]).toEqual([3, 3, 3]);
  for (let other = 0; other < 1_000; other++) warnings.emit(new Error(`other ${other}`));
  expect(warned).toHaveLength(1_009);
  vi.restoreAllMocks();
  warnings.emit(Object.assign(new Error("odd"), { name: Symbol("no text") }));
});

test("the minute of a warning is one of the clock that the recipe lives by", () => {
  const warned = processWarnings();
  const clock = new FakeClock();
  const notifier = new TestNotifier(clock);
  for (const afterMs of [0, 59_999, 1]) {
    clock.advance(afterMs);
    notifier.warn(new Error("away"));
  }
  expect(warned).toHaveLength(2);
});

test("listeners are called in order, each with the arguments, and one that is added meanwhile hears the next", () => {
  const notifier = new TestNotifier();
  const heard: string[] = [];
  notifier.on("news", (text) => {
    heard.push(`first ${text}`);
    notifier.once("news", (later) => heard.push(`added ${later}`));
  });
  notifier.on("news", (text) => heard.push(`second ${text}`));
  notifier.report("a");
  expect(heard).toEqual(["first a", "second a"]);
  heard.length = 0;
  notifier.removeAllListeners("news");
  notifier.report("b");
  expect(heard).toEqual([]);
});

test("with captureRejections for all emitters it still only warns", async () => {
  EventEmitter.captureRejections = true;
  try {
    const notifier = new TestNotifier();
    const warned = new Promise<Error>((resolve) => notifier.once("warning", resolve));
    notifier.on("news", async () => {
      throw new Error("late");
    });
    notifier.report("a");
    expect(await warned).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
  } finally {
    EventEmitter.captureRejections = false;
  }
});

test("whatever is thrown becomes an error with a message", () => {
  const error = new Error("as it is");
  expect(asError(error)).toBe(error);
  for (const thrown of ["text", undefined, null, 5, Symbol("s"), Object.create(null), { a: { b: { c: {} } } }]) {
    const made = asError(thrown);
    expect(made).toBeInstanceOf(Error);
    expect(typeof made.message).toBe("string");
    expect(made.cause).toBe(thrown);
  }
});
