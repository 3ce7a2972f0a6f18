import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import {
  CancelledError,
  EtcdError,
  InvalidOptionError,
  InvalidValueError,
  Mutex,
  prefix,
  Queue,
  Storage,
} from "../../recipes/index.ts";
import { log } from "../../src/internal/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { keyUnder, nastyKey, nastyText, nastyValue, times } from "./hostile-values.ts";

/** What ends a line, moves a cursor or turns text round. */
const forging = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

// Read when the package is imported.
vi.hoisted(() => {
  process.env.DEBUG = "etcd-recipes:*";
});

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await lab.clear();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

/** What is written from now on, each call of the log an item. */
function listen(): string[] {
  const lines: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
    lines.push(String(chunk).replace(/\n$/, ""));
    return true;
  });
  return lines;
}

test("foreign text forges no line of a log", async () => {
  const random = seeded("log");
  const lines = listen();
  const under = `${lab.newPrefix()}a\nforged\u001b[2J/`;
  for (const index of times(30, (at) => at)) {
    await lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyValue(random, { Addr: '"a:1"' }));
  }
  const services = lab.subscribe(under);
  const server = lab.register(`${under}own`, "10.0.0.1:80", 5);
  const mutex = new Mutex(`${under}lock`, { client: lab.etcd });
  lab.also(() => mutex.close());
  await Promise.all([services.ready, server.ready]);
  await mutex.run(() => {});
  await lab.etcd.delete(`${under}own`);
  await until(() => lines.some((line) => line.includes("own is recovering")));
  expect(lines.length).toBeGreaterThan(5);
  expect(lines.some((line) => line.includes("forged"))).toBe(true);
  expect(lines.filter((line) => forging.test(line))).toEqual([]);
  expect(lines.filter((line) => line.length > 10_000)).toEqual([]);
});

test("whatever is logged makes one line", () => {
  const lines = listen();
  const debug = log("test");
  const unprintable = { toString: () => Promise.reject, [Symbol.toPrimitive]: () => Symbol("s") };
  for (const value of [
    nastyText,
    "x".repeat(1_000_000),
    5,
    Symbol("s"),
    undefined,
    unprintable,
    new Error(nastyText),
  ]) {
    debug("%s and %d", value, 5);
  }
  expect(lines).toHaveLength(7);
  expect(lines.filter((line) => !line.includes(" and 5") || line.length > 10_000)).toEqual([]);
  expect(lines.filter((line) => forging.test(line))).toEqual([]);
});

test("a logged error shows its message, and none of its properties", () => {
  const lines = listen();
  const error = Object.assign(new Error("broken", { cause: new Error("hunter2") }), { metadata: "hunter2" });
  log("test")("%s", error);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("broken");
  expect(lines[0]).not.toContain("hunter2");
  expect(lines[0]).not.toContain("    at ");
});

test("no message of an error has more than a line, whatever it is about", () => {
  const errors: EtcdError[] = [
    new CancelledError(nastyText, nastyText),
    new InvalidValueError(`${nastyText} ${"x".repeat(1_000_000)}`),
    new InvalidOptionError(nastyText, nastyText, "\ud800"),
  ];
  for (const error of errors) {
    expect(error.message).not.toMatch(forging);
    expect(error.message.length).toBeLessThan(20_000);
    expect(
      error.stack
        ?.split("\n")
        .slice(1)
        .filter((line) => !line.startsWith("    at ")),
    ).toEqual([]);
  }
  // What can be printed stays as it is.
  expect(new InvalidValueError("/svc/größe-中文-🙂").message).toBe("/svc/größe-中文-🙂");
  expect(new CancelledError("a\nb", nastyText)).toMatchObject({
    runId: "a\nb",
    reason: nastyText,
    message: expect.stringContaining("a\\nb"),
  });
});

test("what etcd is asked for and refuses is reported in one line", async () => {
  const key = `${lab.newPrefix()}${nastyText}`;
  const storage = new Storage({ client: lab.etcd });
  const queue = new Queue(`${key}/queue`, { client: lab.etcd });
  lab.also(async () => {
    await storage.close();
    await queue.close();
  });
  const warnings: Error[] = [];
  storage.on("warning", (error) => warnings.push(error));
  const watch = storage.watch(
    key,
    () => {
      throw new Error(nastyText);
    },
    () => {},
    { initial: "replay" },
  );
  await watch.ready;
  await lab.etcd.put(`${key}/a`, nastyText);
  await lab.etcd.put(Buffer.from([...Buffer.from(`${key}/`), 0xff]), "");
  await until(() => warnings.length >= 2);
  expect(warnings.filter((error) => !(error instanceof EtcdError) || forging.test(error.message))).toEqual([]);
  const tooLarge = storage.put(`${key}/b`, "x".repeat(3_000_000));
  await expect(tooLarge).rejects.toSatisfy((error: Error) => !forging.test(error.message));
  const late = lab.etcd.txn({ success: [] }, { timeoutMs: 1e-6 });
  await expect(late).rejects.toBeInstanceOf(EtcdError);
  expect((await lab.etcd.range(prefix(key))).count).toBe(2);
});
