import { expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  Confirmation,
  EtcdClient,
  LeaderElection,
  Mutex,
  Queue,
  RegistrationGroup,
  ServiceRegister,
  Storage,
  SubscribeService,
} from "../../recipes/index.ts";

// Bytes that were no UTF-8 become U+FFFD when they are read as text, and a lone surrogate when it is written: many
// texts come to one key, and readers leave such keys alone. What is accepted must work.

// No endpoint: nothing is sent before the refusal.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:1" });

const made: readonly [what: string, option: string, make: (name: string) => unknown][] = [
  ["ServiceRegister", "key", (name) => new ServiceRegister(name, "10.0.0.1:80", 5, { client })],
  ["RegistrationGroup", "prefix", (name) => new RegistrationGroup(name, 5, { client })],
  ["SubscribeService", "prefix", (name) => new SubscribeService(name, { client })],
  ["ClusterMonitor", "prefix", (name) => new ClusterMonitor(name, { client })],
  ["CacheExpirer", "prefix", (name) => new CacheExpirer(name, { client, ttlSeconds: 60, onExpire: () => {} })],
  ["Cancellation", "prefix", (name) => new Cancellation(name, { client })],
  ["Confirmation", "prefix", (name) => new Confirmation(name, { client })],
  ["Queue", "name", (name) => new Queue(name, { client })],
  ["Mutex", "name", (name) => new Mutex(name, { client })],
  ["LeaderElection", "name", (name) => new LeaderElection(name, "me", { client })],
  [
    "Storage.watch",
    "prefix",
    (name) =>
      new Storage({ client }).watch(
        name,
        () => {},
        () => {},
      ),
  ],
];

test.each(made)("%s: a %s that is the text of no key, or of several, is refused by name", (what, option, make) => {
  for (const name of ["/a\ufffd/b", "/a\ud800/b", "/\udc00"]) {
    expect(() => make(name)).toThrow(`${what}: ${option} must be well-formed text without U+FFFD`);
  }
});
