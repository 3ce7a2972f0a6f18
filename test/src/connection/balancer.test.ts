import { promises as dns } from "node:dns";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, type Lease, prefix } from "../../../src/index.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, type EtcdMember, startEtcd } from "../../../testing/index.ts";
import { type Balancer, startBalancer } from "../../support/balancer.ts";
import { startLearner } from "../../support/learner.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// One endpoint, and several members behind it: a name with several addresses, a Service, a TCP balancer. A member that
// cannot serve answers at once, so that nothing but the client itself ends the connection to it.

let cluster: EtcdCluster;
/** One that does not lead: a cluster without it is whole. */
let follower: EtcdMember;
const made: AsyncDisposable[] = [];

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
beforeEach(async () => {
  const leader = await cluster.leader();
  follower = cluster.members.find((member) => member !== leader) as EtcdMember;
});
afterEach(async () => {
  for (const each of made.splice(0).reverse()) await each[Symbol.asyncDispose]();
  await follower.resume();
  await follower.heal();
  await using etcd = new EtcdClient({ endpoints: follower.endpoint });
  await until(() => etcd.range("k"), { timeoutMs: 40_000, message: "the member serves again" });
});
afterAll(() => cluster.close());

function own<T extends AsyncDisposable>(thing: T): T {
  made.push(thing);
  return thing;
}

function client(endpoint: string, requestTimeoutMs = 20_000): EtcdClient {
  return own(new EtcdClient({ endpoints: endpoint, requestTimeoutMs }));
}

/** Calls again and again, also when that fails, until the test ends or the returned function is called. */
function repeat(call: () => Promise<unknown>): () => Promise<void> {
  let running = true;
  const calling = (async () => {
    while (running) await call().catch(() => {});
  })();
  const stop = () => {
    running = false;
    return calling;
  };
  own({ [Symbol.asyncDispose]: stop });
  return stop;
}

/** Cuts it from the others and waits until it has no leader. */
async function isolate(member: EtcdMember): Promise<void> {
  await member.isolate();
  await using etcd = new EtcdClient({ endpoints: member.endpoint });
  await until(async () => (await etcd.status()).leaderId === undefined, { message: "the member knows no leader" });
}

describe("a balancer before three members, one of which loses its leader", () => {
  let balancer: Balancer;

  beforeEach(async () => {
    // All connections are to one member, which is the one to lose its leader; the next ones go to all in turn.
    balancer = own(await startBalancer([follower.endpoint]));
  });

  test("puts and reads reach another member within their time", async () => {
    const etcd = client(balancer.endpoint);
    await etcd.put("k", "1");
    balancer.targets = cluster.endpoints;
    await isolate(follower);
    await etcd.put("k", "2");
    expect((await etcd.get("k"))?.text).toBe("2");
  });

  test("calls of another kind, which it answers, keep no other call there", async () => {
    const etcd = client(balancer.endpoint);
    await etcd.put("k", "1");
    balancer.targets = cluster.endpoints;
    await isolate(follower);
    const stop = repeat(() => etcd.status());
    await etcd.put("k", "2");
    await stop();
  });

  test("what is followed, held and registered goes on", async () => {
    const etcd = client(balancer.endpoint);
    const lease = await etcd.grantLease(15);
    const server = own(new ServiceRegister("svc/a", "10.0.0.1:80", 15, { client: etcd }));
    await server.ready;
    const watch = own(etcd.watch(prefix("keys/")));
    const recording = record(watch);
    const mirror = own(etcd.mirror(prefix("svc/")));
    await Promise.all([watch.ready, mirror.ready]);
    balancer.targets = cluster.endpoints;
    await isolate(follower);

    const direct = client((await cluster.leader()).endpoint);
    await direct.put("keys/k", "v");
    await direct.put("svc/b", "10.0.0.2:80");
    await until(() => recording.items.length > 0 && mirror.get("svc/b"), { timeoutMs: 30_000 });
    await untilRenewed(lease);
    expect((await direct.get("svc/a"))?.text).toBe("10.0.0.1:80");
    expect(server.status).toBe("registered");
  });

  test("reads and renewals reach another member when it freezes", async () => {
    const etcd = client(balancer.endpoint);
    const lease = await etcd.grantLease(15);
    balancer.targets = cluster.endpoints;
    await follower.pause();
    await etcd.get("k");
    await untilRenewed(lease);
  });
});

/** Only a renewal gives a lease more time. */
async function untilRenewed(lease: Lease): Promise<void> {
  let leftMs = lease.remainingMs();
  const isRenewed = () => {
    const beforeMs = leftMs;
    leftMs = lease.remainingMs();
    return leftMs > beforeMs;
  };
  await until(isRenewed, { timeoutMs: 20_000, message: "the lease is renewed" });
  expect(lease.signal.aborted).toBe(false);
}

describe("a name with several addresses", () => {
  const name = "etcd.example";
  /** On Linux all of 127.0.0.0/8 is this machine. */
  const hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

  /** The members behind the name, the follower first. */
  async function startName(): Promise<string> {
    const { lookup } = dns;
    const answer = hosts.map((address) => ({ address, family: 4 }));
    const spy = vi
      .spyOn(dns, "lookup")
      .mockImplementation(((host: string, options: object) =>
        host === name ? Promise.resolve(answer) : lookup(host, options)) as typeof dns.lookup);
    own({ [Symbol.asyncDispose]: async () => void spy.mockRestore() });
    const port = await takePort();
    const others = cluster.members.filter((member) => member !== follower);
    for (const [index, { endpoint }] of [follower, ...others].entries()) {
      own(await startBalancer([endpoint], { host: hosts[index] as string, port }));
    }
    return `http://${name}:${port}`;
  }

  test("is dialled at another address when the member at the first one has lost its leader", async () => {
    const etcd = client(await startName());
    await isolate(follower);
    await etcd.put("k", "v");
    await own(etcd.watch("k", { startRevision: 1 })).ready;
  });

  test("is dialled at another address when the member at the first one is frozen", async () => {
    const etcd = client(await startName());
    await follower.pause();
    await etcd.put("k", "v");
    await own(etcd.watch("k")).ready;
    await untilRenewed(await etcd.grantLease(15));
  });
});

describe("a balancer before a learner and a member", () => {
  test("what the learner does not serve reaches the member, while the learner serves other reads", async () => {
    const single = own(await startEtcd());
    const learner = own(await startLearner(single));
    const balancer = own(await startBalancer([learner.endpoint]));
    const etcd = client(balancer.endpoint);
    await until(async () => {
      const { message, outcomeUnknown } = await etcdErrorOf(etcd.put("never", "v", { timeoutMs: 1_000 }));
      return message.includes("not supported for learner") && !outcomeUnknown;
    });
    balancer.targets = [learner.endpoint, ...single.endpoints];
    const stop = repeat(() => etcd.get("k", { serializable: true }));
    const { revision } = await etcd.put("k", "v");
    await own(etcd.watch("k", { startRevision: revision })).ready;
    await untilRenewed(await etcd.grantLease(15));
    await stop();
  });
});
