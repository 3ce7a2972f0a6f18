import { expect, test } from "vitest";
import { Mutex } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });

const refused: [string, unknown, unknown, string][] = [
  ["an empty name", "", {}, "Mutex: name must not be empty"],
  ["a name that is no text", 7, {}, "Mutex: name must be a string, not 7"],
  [
    "a trailing slash, and says why",
    "/locks/",
    {},
    "Mutex: name must not end with a slash: etcdctl and Go's client put one behind it, so /locks/ and /locks would be two different ones",
  ],
  [
    "a ttl of 0",
    "/l",
    { ttlSeconds: 0 },
    "Mutex: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not 0",
  ],
  [
    "half a second",
    "/l",
    { ttlSeconds: 0.5 },
    "Mutex: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not 0.5",
  ],
  ["an unknown option", "/l", { ttlSecond: 5 }, 'Mutex: ttlSecond is not an option; did you mean "ttlSeconds"?'],
  ["options that are none", "/l", 5, "Mutex: options must be a plain object, not 5"],
];

test.each(refused)("the constructor refuses %s", (_, name, options, message) => {
  const make = () => new Mutex(name as string, options as object);
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(expect.objectContaining({ message }));
});

const calls: [string, (mutex: Mutex) => Promise<unknown>, string][] = [
  ["a negative timeout", (m) => m.acquire({ timeoutMs: -1 }), "Mutex.acquire: timeoutMs must be above 0, not -1"],
  [
    "a timeout of NaN",
    (m) => m.acquire({ timeoutMs: Number.NaN }),
    "Mutex.acquire: timeoutMs must be a number of milliseconds, not NaN",
  ],
  [
    "a timeout that no timer can wait",
    (m) => m.run(() => {}, { timeoutMs: 2 ** 31 }),
    "Mutex.run: timeoutMs must be below 2^31 ms, or Infinity, not 2147483648",
  ],
  [
    "a signal that is none",
    (m) => m.acquire({ signal: {} as AbortSignal }),
    "Mutex.acquire: signal must be an AbortSignal, not an object",
  ],
  [
    "a timeout where there is none",
    (m) => m.tryAcquire({ timeoutMs: 5 } as object),
    "Mutex.tryAcquire: timeoutMs is not an option; known are signal",
  ],
  ["no work", (m) => m.run(undefined as never), "Mutex.run: work must be a function, not undefined"],
];

test.each(calls)("a call refuses %s", async (_, call, message) => {
  const mutex = new Mutex("/l", { client });
  await expect(call(mutex)).rejects.toThrow(expect.objectContaining({ message, name: "InvalidOptionError" }));
});
