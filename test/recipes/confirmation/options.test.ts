import { afterAll, expect, test } from "vitest";
import { Confirmation } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });
const confirmation = new Confirmation("/confirm", { client });
afterAll(async () => {
  await confirmation.close();
  await client.close();
});

const seconds = "must be a whole number of seconds from 1 to 4000000000, not";
const make = (prefix: unknown, options?: unknown) => () => new Confirmation(prefix as string, options as object);

const refused: [string, () => unknown, string][] = [
  ["an empty prefix", make(""), "Confirmation: prefix must not be empty: that would be every key there is"],
  ["an unknown option", make("/c/", { retain: 3 }), "Confirmation: retain is not an option; known are"],
  ["options that are none", make("/c/", "day"), 'Confirmation: options must be a plain object, not "day"'],
  ["a retention of half a second", make("/c/", { retainSeconds: 0.5 }), `Confirmation: retainSeconds ${seconds} 0.5`],
];

test.each(refused)("%s is refused by the constructor", (_, call, message) => {
  expect(call).toThrow(InvalidOptionError);
  expect(call).toThrow(message);
});

type Call = (...args: unknown[]) => Promise<unknown>;
const request = confirmation.request.bind(confirmation) as Call;
const approve = confirmation.approve.bind(confirmation) as Call;
const reject = confirmation.reject.bind(confirmation) as Call;

const badCalls: [string, () => Promise<unknown>, string][] = [
  ["an empty id", () => request("", { timeoutSeconds: 1 }), "Confirmation.request: id must not be empty"],
  ["an id with a leading slash", () => request("/a", { timeoutSeconds: 1 }), "id must not begin with a slash"],
  ["an id that is no text", () => request(7, { timeoutSeconds: 1 }), "id must be a string, not 7"],
  ["no timeout", () => request("a"), `Confirmation.request: timeoutSeconds ${seconds} undefined`],
  ...[0, 0.5, 1.5, -1, Number.NaN].map((timeout): [string, () => Promise<unknown>, string] => [
    `a timeout of ${timeout}`,
    () => request("a", { timeoutSeconds: timeout }),
    `Confirmation.request: timeoutSeconds ${seconds} ${timeout}`,
  ]),
  ["an unknown option of a request", () => request("a", { timeout: 1 }), "timeout is not an option"],
  ["a signal that is none", () => request("a", { timeoutSeconds: 1, signal: 7 }), "signal must be an AbortSignal"],
  ["an approval without an id", () => approve("", "alice"), "Confirmation.approve: id must not be empty"],
  [
    "an approval without a name",
    () => approve("a", ""),
    "Confirmation.approve: by must not be empty: it says who decided",
  ],
  ["an approval by no text", () => approve("a"), "Confirmation.approve: by must be a string, not undefined"],
  ["an unknown option of an approval", () => approve("a", "b", { reason: "" }), "reason is not an option"],
  ["a rejection without a name", () => reject("a", "", "no"), "Confirmation.reject: by must not be empty"],
  ["a reason that is no text", () => reject("a", "bob", 7), "Confirmation.reject: reason must be a string, not 7"],
  ["an id that is not well-formed", () => reject("\ud800", "bob"), "id must be well-formed text without U+FFFD"],
  [
    "an unknown option of pending",
    () => confirmation.pending({ timeout: 1 } as object),
    'Confirmation.pending: timeout is not an option; did you mean "timeoutMs"?',
  ],
];

test.each(badCalls)("%s is refused", async (_, call, message) => {
  await expect(call()).rejects.toBeInstanceOf(InvalidOptionError);
  await expect(call()).rejects.toThrow(message);
});

test("a prefix without a slash at its end gets one", () => {
  expect(confirmation.prefix).toBe("/confirm/");
});

test("null is refused: options are left out, or an object", () => {
  expect(() => new Confirmation("/null/", null as never)).toThrow(
    "Confirmation: options must be a plain object, not null",
  );
});
