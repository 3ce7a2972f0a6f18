import { afterAll, expect, test } from "vitest";
import { ClusterMonitor } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });
const monitor = new ClusterMonitor("/nodes", { client });
afterAll(async () => {
  await monitor.close();
  await client.close();
});

const circular: Record<string, unknown> = {};
circular.self = circular;
const asynchronous = { "~standard": { version: 1, vendor: "test", validate: async () => ({ value: 1 }) } };
const make = (prefix: unknown, options?: unknown) => () => new ClusterMonitor(prefix as string, options as object);
const join = (name: unknown, info?: unknown) => () => monitor.join(name as string, info);

const refused: [string, () => unknown, string][] = [
  ["an empty prefix", make(""), "ClusterMonitor: prefix must not be empty: that would be every key there is"],
  [
    "an unknown option",
    make("/n/", { ttl: 3 }),
    "ClusterMonitor: ttl is not an option; known are client, ttlSeconds, info",
  ],
  ["options that are none", make("/n/", 7), "ClusterMonitor: options must be a plain object, not 7"],
  ["a ttl below a second", make("/n/", { ttlSeconds: 0.5 }), "ClusterMonitor: ttlSeconds must be a whole number"],
  ["a ttl of zero", make("/n/", { ttlSeconds: 0 }), "ClusterMonitor: ttlSeconds must be a whole number"],
  ["a schema that is none", make("/n/", { info: {} }), "ClusterMonitor: info must be a Standard Schema"],
  ["an asynchronous schema", make("/n/", { info: asynchronous }), "ClusterMonitor: info must be a synchronous schema"],
  ["an empty name", join(""), "ClusterMonitor.join: name must not be empty"],
  ["a name with a leading slash", join("/a"), "ClusterMonitor.join: name must not begin with a slash"],
  ["a name with a slash at its end", join("a/"), "ClusterMonitor.join: name must not end with a slash"],
  ["a name with white space", join("a b"), "name must not have white space or control characters in it"],
  ["a name that is no text", join(7), "ClusterMonitor.join: name must be a string, not 7"],
  ["an info that JSON cannot write", join("a", circular), "ClusterMonitor.join: info cannot be written as JSON"],
  ["an address that is none", join("a", { address: "" }), "address must not be empty"],
];

test.each(refused)("%s is refused", (_, call, message) => {
  expect(call).toThrow(InvalidOptionError);
  expect(call).toThrow(message);
});

test("a name that has joined here already is refused, and what was refused has not joined", () => {
  monitor.join("a", {});
  expect(join("a", {})).toThrow("ClusterMonitor.join: name must be a new one: a has joined here already");
  expect(join("b", circular)).toThrow(InvalidOptionError);
  monitor.join("b", {});
});

test("bad options of leaving are refused, and it has not left", async () => {
  const membership = monitor.join("c", {});
  await expect(membership.leave({ drain: 1 } as object)).rejects.toBeInstanceOf(InvalidOptionError);
  await expect(membership.leave({ drainMs: -1 })).rejects.toBeInstanceOf(InvalidOptionError);
  expect(membership.status).toBe("registering");
});

test("a prefix without a slash at its end gets one", () => {
  expect(monitor.prefix).toBe("/nodes/");
});

test("null is refused: options are left out, or an object", () => {
  expect(() => new ClusterMonitor("/null/", null as never)).toThrow(
    "ClusterMonitor: options must be a plain object, not null",
  );
});
