import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Codec } from "../../../../src/connection/codec/codec.ts";
import { connect, type GrpcConnection } from "../../../../src/grpc/index.ts";
import { EtcdClient, EtcdError, type Lease, prefix } from "../../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../../testing/index.ts";
import { ask } from "../../../support/grpc-lab.ts";
import { startGrpcProxy } from "../../../support/proxies/etcd-grpc-proxy.ts";
import type { EtcdProxy } from "../../../support/proxies/etcd-proxy.ts";
import { startGrpcJsProxy } from "../../../support/proxies/grpc-js-proxy.ts";
import { canStartNghttpx, startNghttpx } from "../../../support/proxies/nghttpx.ts";
import { canStartNginx, startNginx } from "../../../support/proxies/nginx.ts";
import { record } from "../../../support/record.ts";
import { until } from "../../../support/until.ts";

// What others have made of HTTP/2 and gRPC, between this client and a real etcd.

/** More than etcd takes by itself, and larger than any window. */
const largest = 3_000_000;

let cluster: EtcdCluster;
let direct: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ flags: [`--max-request-bytes=${largest}`] });
  direct = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await direct.close();
  await cluster.close();
});

const etcdEndpoint = () => cluster.member(0).endpoint;

interface Kind {
  readonly name: string;
  readonly there: boolean;
  readonly start: () => Promise<EtcdProxy>;
  /** The largest request that it passes on. */
  readonly most: number;
}

const kinds: readonly Kind[] = [
  { name: "nginx under TLS", there: canStartNginx, start: () => startNginx(etcdEndpoint()), most: largest },
  { name: "nghttpx", there: canStartNghttpx, start: () => startNghttpx(etcdEndpoint()), most: largest },
  // It takes no more than etcd takes by itself.
  { name: "etcd grpc-proxy", there: true, start: () => startGrpcProxy(cluster.endpoints), most: 1_500_000 },
  {
    name: "a server of grpc-js that ends connections by their age",
    there: true,
    start: () => startGrpcJsProxy(etcdEndpoint(), { "grpc.max_connection_age_ms": 300 }),
    most: largest,
  },
];

describe.each(kinds)("through $name", ({ name, there, start, most }) => {
  const space = `${name}/`;
  let proxy: EtcdProxy;
  let etcd: EtcdClient;

  beforeAll(async () => {
    if (!there) return;
    proxy = await start();
    etcd = new EtcdClient(proxy.clientOptions);
  });
  afterAll(async () => {
    await etcd?.close();
    await proxy?.[Symbol.asyncDispose]();
  });

  test.skipIf(!there)("a crowd of calls is answered, each with its own", async () => {
    const keys = Array.from({ length: 500 }, (_, index) => `${space}crowd/${index}`);
    await Promise.all(keys.map((key) => etcd.put(key, key)));
    const found = await Promise.all(keys.map((key) => etcd.get(key)));
    expect(found.map((kv) => [kv?.text, kv?.version])).toEqual(keys.map((key) => [key, 1]));
  });

  test.skipIf(!there)("large messages pass whole, both ways and several at the same time", async () => {
    const { put, range } = new Codec();
    const values = [1, 2, 3].map((fill) => Buffer.alloc(most - 1_000, fill));
    const key = (index: number) => Buffer.from(`${space}large/${index}`);
    const all = async (method: { path: string }, requests: readonly Buffer[]) => {
      const connection = await connectTo(proxy);
      const answers = await Promise.all(requests.map((request) => ask(connection, method.path, request)));
      connection.destroy();
      expect(answers.map(({ failure }) => failure)).toEqual(requests.map(() => undefined));
      return answers.map(({ bytes }) => bytes as Buffer);
    };
    await all(
      put,
      values.map((value, index) => put.encode({ key: key(index), value })),
    );
    const whole = range.encode({ range: { start: key(0), end: key(9) } });
    for (const answer of await all(range, [whole, whole])) {
      const { kvs } = range.decode(answer);
      expect(kvs.map(({ value }, index) => values[index]?.equals(value))).toEqual([true, true, true]);
    }
  });

  test.skipIf(!there)(
    "that is replaced and that crashes under load, each put is reported as it was, no read fails, no event and no lease is lost",
    async () => {
      const puts = `${space}puts/`;
      const lease = await etcd.grantLease(10, { renewEverySeconds: 0.5 });
      await using watch = etcd.watch(prefix(puts));
      const { items } = record(watch);
      await Promise.all([watch.ready, etcd.put(`${space}read`, "v")]);
      const load = new Load(etcd, puts, `${space}read`);
      for (const disturb of ["reload", "crash"] as const) {
        await load.more(80);
        await proxy[disturb]();
      }
      await load.more(80);
      await load.stop();

      const last = await direct.put(`${puts}~`, "the last one");
      await until(() => items.at(-1)?.revision === last.revision);
      const { kvs } = await direct.range(prefix(puts));
      const inOrder = [...kvs].sort((a, b) => a.modRevision - b.modRevision).map(({ key }) => key);
      expect(items.flatMap(({ events }) => events.map(({ kv }) => kv.key))).toEqual(inOrder);
      expect(load.failedReads).toEqual([]);
      const there = new Map(kvs.map(({ key, version }) => [key, version]));
      for (const [key, received] of load.received) {
        const versions = { executed: [1], "never executed": [undefined], unknown: [undefined, 1] }[received];
        expect(versions, `${key}, which was reported as ${received}`).toContain(there.get(key));
      }
      await untilRenewed(lease);
    },
  );
});

function connectTo(proxy: EtcdProxy): Promise<GrpcConnection> {
  const { hostname: host, port } = new URL(proxy.endpoint);
  const { tls } = proxy.clientOptions;
  return connect({ host, port: Number(port) }, { tls: tls && { ca: tls.ca as string } });
}

type Received = "executed" | "never executed" | "unknown";

/** Puts keys, each once, and reads, all the time. */
class Load {
  readonly received = new Map<string, Received>();
  readonly failedReads: unknown[] = [];
  #running = true;
  readonly #workers: Promise<void>[];

  constructor(etcd: EtcdClient, space: string, read: string) {
    let next = 0;
    const put = async () => {
      while (this.#running) {
        const key = `${space}${next++}`;
        this.received.set(key, await etcd.put(key, "v").then(() => "executed" as const, toldBy));
      }
    };
    const get = async () => {
      while (this.#running) await etcd.get(read).catch((error: unknown) => this.failedReads.push(error));
    };
    this.#workers = [put(), put(), put(), put(), get()];
  }

  /** Waits until so many more were put. */
  async more(count: number): Promise<void> {
    const executed = () => [...this.received.values()].filter((received) => received === "executed").length;
    const enough = executed() + count;
    await until(() => executed() >= enough, { message: `${count} more are put` });
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#workers);
  }
}

function toldBy(error: unknown): Received {
  if (!(error instanceof EtcdError)) throw error;
  return error.outcomeUnknown ? "unknown" : "never executed";
}

/** Only a renewal gives a lease more time. */
async function untilRenewed(lease: Lease): Promise<void> {
  let leftMs = lease.remainingMs();
  const isRenewed = () => {
    const beforeMs = leftMs;
    leftMs = lease.remainingMs();
    return leftMs > beforeMs;
  };
  await until(isRenewed, { message: "the lease is renewed" });
  expect(lease.signal.aborted).toBe(false);
}
