import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  Confirmation,
  EtcdClient,
  EtcdError,
  LeaderElection,
  Mutex,
  Queue,
  Storage,
  SubscribeService,
} from "../../recipes/index.ts";
import { takePort } from "../../testing/free-ports.ts";
import { etcdErrorOf } from "../support/outcome.ts";

// What waits for etcd in vain says why, and where it looked.

const call = { timeoutMs: 700 };
const recipes: { close(): Promise<void>; on?(name: "warning", listener: () => void): unknown }[] = [];
let endpoint: string;
let etcd: EtcdClient;

beforeAll(async () => {
  endpoint = `127.0.0.1:${await takePort()}`;
  etcd = new EtcdClient({ endpoints: endpoint, warnUnreachable: false });
});
afterAll(async () => {
  await Promise.all(recipes.map((recipe) => recipe.close()));
  await etcd.close();
});

function made<Recipe extends (typeof recipes)[number]>(recipe: Recipe): Recipe {
  recipe.on?.("warning", () => {});
  recipes.push(recipe);
  return recipe;
}

const rows: Readonly<Record<string, () => Promise<unknown>>> = {
  "Mutex.acquire": () => made(new Mutex("/lock", { client: etcd })).acquire(call),
  "Mutex.run": () => made(new Mutex("/lock", { client: etcd })).run(async () => {}, call),
  "SubscribeService.until": () => made(new SubscribeService("/svc/", { client: etcd })).until(() => true, call),
  "SubscribeService.call": () => made(new SubscribeService("/svc/", { client: etcd })).call(() => 1, call),
  "a view's until": () =>
    made(new SubscribeService("/svc/", { client: etcd }))
      .view({ metadata: { zone: "a" } })
      .until(() => true, call),
  "Queue.enqueue": () => made(new Queue("/queue", { client: etcd })).enqueue("job", call),
  "Queue.deadLetters": () => made(new Queue("/queue", { client: etcd })).deadLetters(call),
  "Storage.put": () => made(new Storage({ client: etcd })).put("k", "v", call),
  "Storage.put on a lease": () => made(new Storage({ client: etcd })).put("k", "v", { ...call, ttlSeconds: 60 }),
  "Storage.get": () => made(new Storage({ client: etcd })).get("k", call),
  "Storage.delete": () => made(new Storage({ client: etcd })).delete("k", call),
  "Storage.touch": () => made(new Storage({ client: etcd })).touch("k", call),
  "CacheExpirer.track": () => caches().track("a", call),
  "CacheExpirer.touch": () => caches().touch("a", call),
  "CacheExpirer.evict": () => caches().evict("a", call),
  "LeaderElection.leader": () => made(new LeaderElection("/leader", "a", { client: etcd })).leader(call),
  "LeaderElection.candidates": () => made(new LeaderElection("/leader", "a", { client: etcd })).candidates(call),
  "Cancellation.cancel": () => made(new Cancellation("/cancel/", { client: etcd })).cancel("run", "r", call),
  "Confirmation.approve": () => made(new Confirmation("/confirm/", { client: etcd })).approve("run", "by", call),
};

const caches = () => made(new CacheExpirer("/cache/", { client: etcd, ttlSeconds: 60, onExpire: () => {} }));

test.concurrent.each(Object.entries(rows))(
  "%s names the endpoint that it could not reach, has the cause, and says that it may be repeated",
  async (_, wait) => {
    const error = await etcdErrorOf(wait());
    expect(error).toMatchObject({
      code: expect.stringMatching(/^ETCD_(TIMEOUT|UNAVAILABLE|NO_SERVERS)$/),
      message: expect.stringContaining(`http://${endpoint}: connect ECONNREFUSED ${endpoint}`),
      retryable: true,
    });
    expect(error.cause).toBeInstanceOf(EtcdError);
  },
);
