import { afterAll, expect, test } from "vitest";
import { Cancellation } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });
const cancellation = new Cancellation("/cancel/", { client });
afterAll(async () => {
  await cancellation.close();
  await client.close();
});

const make = (prefix: unknown, options?: unknown) => () => new Cancellation(prefix as string, options as object);

const refused: [string, () => unknown, string][] = [
  ["an empty prefix", make(""), "Cancellation: prefix must not be empty: that would be every key there is"],
  ["a prefix that is no text", make(7), "Cancellation: prefix must be a string, not 7"],
  ["an unknown option", make("/c/", { ttl: 3 }), "Cancellation: ttl is not an option; known are client, ttlSeconds"],
  ["options that are none", make("/c/", "day"), 'Cancellation: options must be a plain object, not "day"'],
  [
    "a client that is none",
    make("/c/", { client: 7 }),
    "Cancellation: client must be an EtcdClient of this package, or options for one",
  ],
  ...[0, 0.5, -1, Number.NaN, "5"].map((ttl): [string, () => unknown, string] => [
    `a ttl of ${ttl}`,
    make("/c/", { ttlSeconds: ttl }),
    "Cancellation: ttlSeconds must be a whole number of seconds from 1 to 8000000000, not",
  ]),
];

test.each(refused)("%s is refused by the constructor", (_, call, message) => {
  expect(call).toThrow(InvalidOptionError);
  expect(call).toThrow(message);
});

const badIds: [unknown, string][] = [
  ["", "runId must not be empty"],
  ["/run-1", "runId must not begin with a slash: the prefix ends with one"],
  [undefined, "runId must be a string, not undefined"],
  ["\ud800", "runId must be well-formed text without U+FFFD"],
];

test.each(badIds)("%o is refused as the id of a run", async (runId, problem) => {
  const id = runId as string;
  expect(() => cancellation.signal(id)).toThrow(`Cancellation.signal: ${problem}`);
  expect(() => cancellation.release(id)).toThrow(`Cancellation.release: ${problem}`);
  await expect(cancellation.cancel(id)).rejects.toThrow(`Cancellation.cancel: ${problem}`);
});

test("a reason that is no text, and unknown options of a call, are refused", async () => {
  const cancel = cancellation.cancel.bind(cancellation) as (...args: unknown[]) => Promise<boolean>;
  await expect(cancel("run-1", 7)).rejects.toThrow("Cancellation.cancel: reason must be a string, not 7");
  await expect(cancel("run-1", null)).rejects.toBeInstanceOf(InvalidOptionError);
  await expect(cancel("run-1", "", { timeout: 1 })).rejects.toThrow(
    'Cancellation.cancel: timeout is not an option; did you mean "timeoutMs"?',
  );
  await expect(cancel("run-1", "", { timeoutMs: 0 })).rejects.toThrow("timeoutMs must be above 0");
});

test("a prefix without a slash at its end gets one", () => {
  expect(new Cancellation("/cancel", { client }).prefix).toBe("/cancel/");
});

test("null is refused: options are left out, or an object", () => {
  expect(() => new Cancellation("/null/", null as never)).toThrow(
    "Cancellation: options must be a plain object, not null",
  );
});
