import { expect, test } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });
const circular: Record<string, unknown> = {};
circular.self = circular;

type Arguments = readonly [unknown, unknown, unknown, unknown?];

const refused: [string, Arguments, string][] = [
  ["an empty key", ["", "a:1", 5], "ServiceRegister: key must not be empty"],
  ["a key that is no text", [7, "a:1", 5], "ServiceRegister: key must be a string, not 7"],
  [
    "a prefix for a key",
    ["/svc/", "a:1", 5],
    "ServiceRegister: key must not end with a slash: that is the prefix; put the name of this instance behind it",
  ],
  ["an empty address", ["/svc/m1", "", 5], "ServiceRegister: address must not be empty"],
  ["a blank address", ["/svc/m1", "  ", 5], "ServiceRegister: address must not be empty"],
  [
    "an address with a line end",
    ["/svc/m1", "a:1\n", 5],
    "ServiceRegister: address must not have white space or control characters in it",
  ],
  ["an address that is no text", ["/svc/m1", undefined, 5], "ServiceRegister: address must be a string, not undefined"],
  [
    "two addresses in the plain format, which no reader would take for one",
    ["/svc/m1", "a:1,b:1", 5],
    'ServiceRegister: address cannot be read back from the format "plain", which is for one address such as 10.0.0.1:8080; say { format: "endpoint" }',
  ],
  [
    "a port without a host in the plain format, which reads as JSON",
    ["/svc/m1", "8080", 5],
    'ServiceRegister: address cannot be read back from the format "plain", which is for one address such as 10.0.0.1:8080; say { format: "endpoint" }',
  ],
  ...([0, -1, Number.NaN, 0.5, 1.5, Number.POSITIVE_INFINITY] as const).map((ttl): [string, Arguments, string] => [
    `a ttl of ${ttl}`,
    ["/svc/m1", "a:1", ttl],
    `ServiceRegister: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not ${ttl}`,
  ]),
  [
    "a ttl that is text",
    ["/svc/m1", "a:1", "5"],
    'ServiceRegister: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not "5"',
  ],
  [
    "an unknown option",
    ["/svc/m1", "a:1", 5, { wieght: 3 }],
    'ServiceRegister: wieght is not an option; did you mean "weight"?',
  ],
  [
    "options that are none",
    ["/svc/m1", "a:1", 5, "plain"],
    'ServiceRegister: options must be a plain object, not "plain"',
  ],
  ["a negative weight", ["/svc/m1", "a:1", 5, { weight: -1 }], "ServiceRegister: weight must be at least 0, not -1"],
  [
    "a weight of NaN",
    ["/svc/m1", "a:1", 5, { weight: Number.NaN }],
    "ServiceRegister: weight must be a number, not NaN",
  ],
  [
    "an infinite weight",
    ["/svc/m1", "a:1", 5, { weight: Number.POSITIVE_INFINITY }],
    "ServiceRegister: weight must be a number, not Infinity",
  ],
  [
    "a weight in the plain format",
    ["/svc/m1", "a:1", 5, { format: "plain", weight: 2 }],
    'ServiceRegister: weight cannot be carried by the format "plain"; leave the format out, or say "endpoint"',
  ],
  [
    "metadata in the plain format",
    ["/svc/m1", "a:1", 5, { format: "plain", metadata: {} }],
    'ServiceRegister: metadata cannot be carried by the format "plain"; leave the format out, or say "endpoint"',
  ],
  [
    "an unknown format",
    ["/svc/m1", "a:1", 5, { format: "json" }],
    'ServiceRegister: format must be "plain", "endpoint", "go-zero", "kratos", "kitex" or a codec { name, encode, decode }, not "json"',
  ],
  [
    "an unknown way with conflicts",
    ["/svc/m1", "a:1", 5, { onConflict: "take" }],
    'ServiceRegister: onConflict must be "replace", "wait" or "error", not "take"',
  ],
  [
    "metadata that is a list",
    ["/svc/m1", "a:1", 5, { metadata: [] }],
    "ServiceRegister: metadata must be a plain object, not an array",
  ],
  [
    "metadata under a reserved name",
    ["/svc/m1", "a:1", 5, { metadata: { "etcd-recipes/weight": 3 } }],
    'ServiceRegister: metadata must not have "etcd-recipes/weight" in it: that name is reserved',
  ],
  [
    "metadata whose toJSON() makes a text of it",
    ["/svc/m1", "a:1", 5, { metadata: { toJSON: () => "abc" } }],
    'ServiceRegister: metadata must be an object when it is written as JSON, not "abc"',
  ],
  [
    "metadata whose toJSON() makes a list of it",
    ["/svc/m1", "a:1", 5, { metadata: { toJSON: () => [1, 2] } }],
    "ServiceRegister: metadata must be an object when it is written as JSON, not an array",
  ],
  [
    "metadata whose toJSON() brings a reserved name",
    ["/svc/m1", "a:1", 5, { metadata: { toJSON: () => ({ "etcd-recipes/draining": true }) } }],
    'ServiceRegister: metadata must not have "etcd-recipes/draining" in it: that name is reserved',
  ],
  [
    "metadata that goes round",
    ["/svc/m1", "a:1", 5, { metadata: circular }],
    "ServiceRegister: metadata cannot be written as JSON: Converting circular structure to JSON",
  ],
  [
    "metadata with a bigint",
    ["/svc/m1", "a:1", 5, { metadata: { a: 1n } }],
    "ServiceRegister: metadata cannot be written as JSON: Do not know how to serialize a BigInt",
  ],
  [
    "a health that is no function",
    ["/svc/m1", "a:1", 5, { health: true }],
    "ServiceRegister: health must be a function, not true",
  ],
  [
    "an interval of nothing",
    ["/svc/m1", "a:1", 5, { healthEverySeconds: 1 }],
    "ServiceRegister: healthEverySeconds says how often to ask, but there is no health to ask",
  ],
  [
    "an interval that is too short",
    ["/svc/m1", "a:1", 5, { health: () => true, healthEverySeconds: 0 }],
    "ServiceRegister: healthEverySeconds must be at least 0.1, not 0",
  ],
  [
    "a URL for a client",
    ["/svc/m1", "a:1", 5, { client: "http://127.0.0.1:2379" }],
    'ServiceRegister: client must be an EtcdClient of this package, or options for one, such as { endpoints: "http://127.0.0.1:2379" }, not "http://127.0.0.1:2379"',
  ],
  [
    "an unknown option of its own client",
    ["/svc/m1", "a:1", 5, { client: { endpoint: "http://127.0.0.1:2379" } }],
    'EtcdClient: endpoint is not an option; did you mean "endpoints"?',
  ],
];

for (const [what, [key, address, ttl, options], message] of refused) {
  test(`${what} is refused: ${message}`, () => {
    const given = typeof options === "object" ? { client, ...options } : options;
    const construct = () => new ServiceRegister(key as string, address as string, ttl as number, given as object);
    expect(construct).toThrow(InvalidOptionError);
    expect(construct).toThrow(expect.objectContaining({ message, code: "ETCD_INVALID_OPTION" }));
  });
}

const refusedUpdates: ["plain" | "endpoint", unknown, string][] = [
  [
    "plain",
    { weight: 3 },
    'ServiceRegister.update: weight cannot be carried by the format "plain"; construct with { format: "endpoint" }',
  ],
  [
    "plain",
    { draining: true },
    'ServiceRegister.update: draining cannot be carried by the format "plain"; construct with { format: "endpoint" }',
  ],
  [
    "plain",
    { address: "{}" },
    'ServiceRegister.update: address cannot be read back from the format "plain", which is for one address such as 10.0.0.1:8080; say { format: "endpoint" }',
  ],
  ["endpoint", { address: "" }, "ServiceRegister.update: address must not be empty"],
  ["endpoint", { adress: "a:1" }, 'ServiceRegister.update: adress is not an option; did you mean "address"?'],
  ["endpoint", { draining: 1 }, "ServiceRegister.update: draining must be true or false, not 1"],
  ["endpoint", { weight: -1 }, "ServiceRegister.update: weight must be at least 0, not -1"],
  ["endpoint", undefined, "ServiceRegister.update: options must be a plain object, not undefined"],
  ["endpoint", "a:1", 'ServiceRegister.update: options must be a plain object, not "a:1"'],
];

for (const [format, update, message] of refusedUpdates) {
  test(`an update is refused: ${message}`, async () => {
    await using register = new ServiceRegister("/svc/m1", "a:1", 5, { client, format });
    await expect(register.update(update as object)).rejects.toMatchObject({ message, code: "ETCD_INVALID_OPTION" });
  });
}

const refusedCloses: [unknown, string][] = [
  [{ drainMs: -1 }, "ServiceRegister.close: drainMs must be at least 0, not -1"],
  [{ drainMs: "1s" }, 'ServiceRegister.close: drainMs must be a number of milliseconds, not "1s"'],
  [{ drainMs: 2 ** 31 }, "ServiceRegister.close: drainMs must be below 2^31 ms, not 2147483648"],
  [{ drain: 5 }, 'ServiceRegister.close: drain is not an option; did you mean "drainMs"?'],
  [5, "ServiceRegister.close: options must be a plain object, not 5"],
];

for (const [options, message] of refusedCloses) {
  test(`a close is refused, and closes nothing: ${message}`, async () => {
    await using register = new ServiceRegister("/svc/m1", "a:1", 5, { client });
    await expect(register.close(options as object)).rejects.toMatchObject({ message, code: "ETCD_INVALID_OPTION" });
    expect(register.status).toBe("registering");
  });
}
