import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  Confirmation,
  EtcdClient,
  LeaderElection,
  Mutex,
  prefix,
  Queue,
  RegistrationGroup,
  ServiceRegister,
  Storage,
  SubscribeService,
} from "../../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { until } from "../../support/until.ts";

// An error keeps alive what its stack runs through until the stack is read, and with it whatever called. So a client
// that goes on holds no error, and nothing else, of what was closed on it.

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

/** Makes something on the client, uses it, and closes it. */
const uses: Record<string, (key: string, client: EtcdClient) => Promise<object>> = {
  "a watch": async (key, client) => {
    const watch = client.watch(prefix(key));
    await watch.ready;
    await watch.close();
    return watch;
  },
  "a mirror": async (key, client) => {
    const mirror = client.mirror(prefix(key));
    await mirror.ready;
    await mirror.close();
    return mirror;
  },
  "a lease": async (_, client) => {
    const lease = await client.grantLease(30);
    await lease.revoke();
    return lease;
  },
  "a call that is aborted": async (key, client) => {
    const ending = new AbortController();
    const waiting = client.get(key, { signal: ending.signal });
    ending.abort();
    await waiting.catch(() => {});
    return ending;
  },
  "a ServiceRegister": async (key, client) => {
    const register = new ServiceRegister(key, "10.0.0.1:80", 30, { client });
    await register.ready;
    await register.close();
    return register;
  },
  "a ServiceRegister on a shared lease": async (key, client) => {
    const register = new ServiceRegister(key, "10.0.0.1:80", 30, { client, lease: "shared" });
    await register.ready;
    await register.close();
    return register;
  },
  "a RegistrationGroup": async (key, client) => {
    const group = new RegistrationGroup(`${key}/`, 30, { client });
    await group.register("a", "10.0.0.1:80").ready;
    await group.close();
    return group;
  },
  "a SubscribeService": async (key, client) => {
    const services = new SubscribeService(`${key}/`, { client });
    await services.ready;
    await services.close();
    return services;
  },
  "a ClusterMonitor": async (key, client) => {
    const monitor = new ClusterMonitor(`${key}/`, { client });
    await monitor.ready;
    await monitor.join("a", { zone: "a" }).ready;
    await monitor.close();
    return monitor;
  },
  "a Queue": async (key, client) => {
    const queue = new Queue(key, { client });
    await queue.enqueue("job");
    const job = await queue.dequeue();
    await job.ack();
    await queue.close();
    return queue;
  },
  "a Mutex": async (key, client) => {
    const mutex = new Mutex(key, { client });
    const lock = await mutex.acquire();
    await lock.release();
    await mutex.close();
    return mutex;
  },
  "a LeaderElection": async (key, client) => {
    const election = new LeaderElection(key, "a", { client });
    await election.lead(async () => {});
    await election.close();
    return election;
  },
  "a Storage watch": async (key, client) => {
    const storage = new Storage({ client });
    await storage.put(`${key}/a`, "value", { ttlSeconds: 60 });
    const watch = storage.watch(
      `${key}/`,
      () => {},
      () => {},
    );
    await watch.ready;
    await watch.close();
    return watch;
  },
  "a CacheExpirer": async (key, client) => {
    const expirer = new CacheExpirer(`${key}/`, { client, ttlSeconds: 60, onExpire: () => {} });
    await expirer.ready;
    await expirer.track("a");
    await expirer.close();
    return expirer;
  },
  "a Cancellation": async (key, client) => {
    const cancellation = new Cancellation(`${key}/`, { client });
    const signal = cancellation.signal("run");
    await cancellation.cancel("run");
    await until(() => signal.aborted);
    await cancellation.close();
    return cancellation;
  },
  "a Confirmation": async (key, client) => {
    const confirmation = new Confirmation(`${key}/`, { client });
    const request = confirmation.request("a", { timeoutSeconds: 60 });
    await until(async () => (await client.range(prefix(`${key}/`))).kvs.length > 0);
    await confirmation.approve("a", "me");
    await request;
    await confirmation.close();
    return confirmation;
  },
};

test.each(Object.entries(uses))("%s is let go by a client that goes on, and so is its caller", async (name, use) => {
  /** Whose method is in every stack. */
  class Caller {
    use(): Promise<object> {
      return use(`/let-go/${name.replaceAll(" ", "-")}`, etcd);
    }
  }
  const closed = await (async () => {
    const caller = new Caller();
    return { it: new WeakRef(await caller.use()), caller: new WeakRef(caller) };
  })();
  await until(() => {
    collectGarbage();
    return closed.it.deref() === undefined && closed.caller.deref() === undefined;
  });
  expect(etcd.closed).toBe(false);
});

test("a call that failed since no endpoint could be reached lets its caller go", async () => {
  await using away = new EtcdClient({ endpoints: "http://127.0.0.1:1" });
  class Caller {
    async use(): Promise<void> {
      await away.get("a", { timeoutMs: 300 });
    }
    async watch(): Promise<void> {
      const watch = away.watch("a", { signal: AbortSignal.timeout(300) });
      await watch.ready;
    }
    async lease(): Promise<void> {
      await away.grantLease(10, { timeoutMs: 300 });
    }
  }
  const callers = await (async () => {
    const calls = ["use", "watch", "lease"] as const;
    return Promise.all(
      calls.map(async (name) => {
        const caller = new Caller();
        await caller[name]().catch(() => {});
        return new WeakRef(caller);
      }),
    );
  })();
  await until(() => {
    collectGarbage();
    return callers.every((caller) => caller.deref() === undefined);
  });
  expect(away.closed).toBe(false);
});
