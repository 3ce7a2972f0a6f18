import { expect, test } from "vitest";
import { LeaderElection } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });

const half = (ttl: number, renew: number) =>
  `LeaderElection: renewEverySeconds must be at most half of ttlSeconds (${ttl}), so that one renewal can fail, not ${renew}`;

const refused: [string, readonly [unknown, unknown, unknown?], string][] = [
  ["an empty name", ["", "a"], "LeaderElection: name must not be empty"],
  ["a name that is no text", [undefined, "a"], "LeaderElection: name must be a string, not undefined"],
  [
    "a trailing slash, and says why",
    ["/leader/", "a"],
    "LeaderElection: name must not end with a slash: etcdctl and Go's client put one behind it, so /leader/ and /leader would be two different ones",
  ],
  ["an empty candidate", ["/leader", ""], "LeaderElection: candidate must not be empty"],
  ["a candidate that is no text", ["/leader", 7], "LeaderElection: candidate must be a string, not 7"],
  ["a renewal as rare as the TTL", ["/leader", "a", { ttlSeconds: 5, renewEverySeconds: 5 }], half(5, 5)],
  ["a renewal rarer than the TTL", ["/leader", "a", { ttlSeconds: 5, renewEverySeconds: 9 }], half(5, 9)],
  ["a renewal that leaves no time for another", ["/leader", "a", { renewEverySeconds: 31 }], half(60, 31)],
  [
    "a renewal without a pause",
    ["/leader", "a", { renewEverySeconds: 0 }],
    "LeaderElection: renewEverySeconds must be above 0, not 0",
  ],
  [
    "a ttl below a second",
    ["/leader", "a", { ttlSeconds: 0.5 }],
    "LeaderElection: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not 0.5",
  ],
  ["a health that is none", ["/leader", "a", { health: true }], "LeaderElection: health must be a function, not true"],
  [
    "a pace without a health",
    ["/leader", "a", { healthEverySeconds: 1 }],
    "LeaderElection: healthEverySeconds says how often to ask, but there is no health to ask",
  ],
  [
    "an unknown option",
    ["/leader", "a", { ttl: 5 }],
    "LeaderElection: ttl is not an option; known are client, ttlSeconds, renewEverySeconds, health, healthEverySeconds",
  ],
  [
    "a client that is none",
    ["/leader", "a", { client: "http://127.0.0.1:2379" }],
    'LeaderElection: client must be an EtcdClient of this package, or options for one, such as { endpoints: "http://127.0.0.1:2379" }, not "http://127.0.0.1:2379"',
  ],
];

test.each(refused)("the constructor refuses %s", (_, args, message) => {
  const make = () => new LeaderElection(...(args as ConstructorParameters<typeof LeaderElection>));
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(expect.objectContaining({ message }));
});

test("a renewal at half the TTL is taken: 60 s and 30 s, as the engine has them", () => {
  expect(() => new LeaderElection("/leader", "a", { client, ttlSeconds: 60, renewEverySeconds: 30 })).not.toThrow();
  expect(() => new LeaderElection("/leader", "a", { client, ttlSeconds: 1 })).not.toThrow();
});

const calls: [string, (election: LeaderElection) => Promise<unknown>, string][] = [
  ["no work", (e) => e.lead(undefined as never), "LeaderElection.lead: work must be a function, not undefined"],
  [
    "a signal that is none",
    (e) => e.lead(() => {}, { signal: 5 as never }),
    "LeaderElection.lead: signal must be an AbortSignal, not 5",
  ],
  ["an empty proclamation", (e) => e.proclaim(""), "proclaim: value must not be empty"],
  [
    "an option of observe() that is none",
    async (e) => e.observe({ from: 1 } as object),
    "LeaderElection.observe: from is not an option; known are signal",
  ],
];

test.each(calls)("a call refuses %s", async (_, call, message) => {
  const election = new LeaderElection("/leader", "a", { client });
  await expect(call(election)).rejects.toThrow(expect.objectContaining({ message, name: "InvalidOptionError" }));
});
