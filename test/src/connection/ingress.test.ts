import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { LeaderElection, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { Ingress, type Refusal } from "../../support/ingress.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// What stands before etcd, such as an ingress, refuses in words and codes of its own. That says nothing of what etcd
// did.

const refusals: Record<string, Refusal> = {
  "HTTP 429": { http: 429 },
  "HTTP 401": { http: 401 },
  "HTTP 403": { http: 403 },
  "HTTP 404": { http: 404 },
  "HTTP 503": { http: 503 },
  RESOURCE_EXHAUSTED: { grpc: 8, message: "rate limit exceeded" },
  PERMISSION_DENIED: { grpc: 7, message: "RBAC: access denied" },
  UNAUTHENTICATED: { grpc: 16, message: "Jwt is missing" },
  INVALID_ARGUMENT: { grpc: 3, message: "bad request" },
  NOT_FOUND: { grpc: 5, message: "no route" },
  FAILED_PRECONDITION: { grpc: 9, message: "no healthy upstream" },
  OUT_OF_RANGE: { grpc: 11, message: "out of range" },
  UNIMPLEMENTED: { grpc: 12, message: "unknown service etcdserverpb.KV" },
  ENHANCE_YOUR_CALM: "calm",
};

let cluster: EtcdCluster;
let direct: EtcdClient;
let ingress: Ingress;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  direct = new EtcdClient({ endpoints: cluster.endpoints });
});
beforeEach(async () => {
  ingress = await Ingress.start(cluster.member(0).endpoint);
  etcd = new EtcdClient({ endpoints: ingress.endpoint, requestTimeoutMs: 1_000 });
  return async () => {
    await etcd.close();
    await ingress[Symbol.asyncDispose]();
  };
});
afterAll(async () => {
  await direct.close();
  await cluster.close();
});

test.each(Object.entries(refusals))(
  "a put that etcd has executed, and that is answered with %s, may have been executed",
  async (_, refusal) => {
    const key = `put/${randomUUID()}`;
    const slowly = { timeoutMs: 20_000 };
    await etcd.get("warm", slowly);
    ingress.refusal = refusal;
    ingress.afterwards = "/Put";
    const error = await etcdErrorOf(etcd.put(key, "v", slowly));
    expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: true });
    expect((await direct.get(key))?.version).toBe(1);
  },
);

/** What says that a request is too large did not get it whole, and never will. */
const tooLarge: Record<string, Refusal> = {
  "HTTP 413": { http: 413 },
  "HTTP 431": { http: 431 },
  "Envoy's 413": { grpc: 2, message: "Payload Too Large" },
};

test.each(Object.entries(tooLarge))(
  "what is too large for a proxy, with %s, is refused for good",
  async (_, refusal) => {
    const space = `large/${randomUUID()}/`;
    await using server = new ServiceRegister(`${space}a`, "10.0.0.1:80", 5, { client: etcd, metadata: {} });
    await server.ready;
    ingress.refusal = refusal;
    const refused = { code: "ETCD_REQUEST_REFUSED", retryable: false, outcomeUnknown: false };
    expect(await etcdErrorOf(etcd.put(`${space}k`, "v"))).toMatchObject(refused);
    expect(await etcdErrorOf(etcd.range(prefix(space)))).toMatchObject(refused);
    expect(await etcdErrorOf(server.update({ metadata: { notes: "long" } }))).toMatchObject(refused);
    ingress.refusal = undefined;
    await server.update({ metadata: { notes: "short" } });
    expect((await direct.get(`${space}a`))?.text).toContain("short");
  },
);

test("a watch whose stream is ended with an HTTP 413 goes on", async () => {
  const key = `streams/${randomUUID()}`;
  await using watch = etcd.watch(key);
  await watch.ready;
  const recording = record(watch);
  ingress.refusal = { http: 413 };
  ingress.cut();
  const before = ingress.refused;
  await until(() => ingress.refused > before);
  ingress.refusal = undefined;
  await direct.put(key, "v");
  await until(() => recording.items.length > 0);
  expect(recording.end).toBeUndefined();
});

const some = [
  "HTTP 429",
  "HTTP 403",
  "RESOURCE_EXHAUSTED",
  "UNAUTHENTICATED",
  "FAILED_PRECONDITION",
  "ENHANCE_YOUR_CALM",
];

test.each(Object.entries(refusals).filter(([name]) => some.includes(name)))(
  "while everything is refused with %s, what follows and registers goes on",
  async (_, refusal) => {
    const space = `on/${randomUUID()}/`;
    const options = { client: etcd };
    await using server = new ServiceRegister(`${space}services/a`, "10.0.0.1:80", 5, options);
    await server.ready;
    await using services = new SubscribeService(`${space}services/`, options);
    await using election = new LeaderElection(`${space}leader`, "me", { client: etcd });
    const led: number[] = [];
    const leading = election
      .lead(async (term) => {
        led.push(term.token);
        await new Promise((resolve) => term.signal.addEventListener("abort", resolve));
      })
      .catch(() => {});
    await using mirror = etcd.mirror(prefix(space));
    await using watch = etcd.watch(prefix(`${space}keys/`));
    const recording = record(watch);
    const keys = () => recording.items.flatMap(({ events }) => events.map(({ kv }) => kv.key));
    await Promise.all([services.ready, mirror.ready, watch.ready, until(() => led.length === 1)]);

    ingress.refusal = refusal;
    ingress.cut();
    const late = etcd.mirror(prefix(space));
    await using lateServer = new ServiceRegister(`${space}services/b`, "10.0.0.2:80", 5, options);
    await until(() => mirror.status === "stale" && ingress.refused > 30, { timeoutMs: 20_000 });
    for (const key of ["k1", "k2", "k3"]) await direct.put(`${space}keys/${key}`, key);
    expect([server.status, lateServer.status, services.status, mirror.status, late.status]).not.toContain("failed");

    ingress.refusal = undefined;
    await Promise.all([late.ready, lateServer.ready]);
    await until(() => mirror.status === "live" && mirror.get(`${space}keys/k3`));
    await until(() => keys().length === 3);
    await services.until((list) => list.length === 2);
    await until(() => server.status === "registered");
    expect(keys()).toEqual(["k1", "k2", "k3"].map((key) => `${space}keys/${key}`));
    await late.close();
    await election.close();
    await leading;
  },
);
