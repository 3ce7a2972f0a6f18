import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../../testing/index.ts";
import { etcdErrorOf } from "../../../support/outcome.ts";
import { record } from "../../../support/record.ts";
import { type TlsTap, tapTls } from "../../../support/tls-tap.ts";
import { until } from "../../../support/until.ts";

// etcd takes the common name of a client's certificate for its user: so it shows whose certificate a connection has.

const everyone = { readwrite: { prefix: "all/" } };
const users = {
  alice: { password: "p", permissions: [{ readwrite: { prefix: "alice/" } }, everyone] },
  bob: { password: "p", permissions: [{ readwrite: { prefix: "bob/" } }, everyone] },
};

let cluster: EtcdCluster;
let tap: TlsTap;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ tls: true, auth: { users } });
  tap = await tapTls(cluster.member(0).endpoint);
  await becomes("alice");
  etcd = new EtcdClient({ endpoints: tap.endpoint, tls: { caFile: tls().caFile, ...ours() } });
});
afterAll(async () => {
  await etcd.close();
  await tap[Symbol.asyncDispose]();
  await cluster.close();
});

function tls() {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

/** The files of the client. */
const ours = () => ({ certFile: join(tls().dir, "ours.pem"), keyFile: join(tls().dir, "ours.key") });

/** Replaces the files of the client. */
async function becomes(commonName: string): Promise<void> {
  const { certFile, keyFile } = await tls().issue({ commonName });
  await cp(certFile, ours().certFile);
  await cp(keyFile, ours().keyFile);
}

/** Breaks the connections, and waits until there are new ones for calls and for streams. */
async function reconnect(broken: () => Promise<void> | void = () => tap.cut()): Promise<readonly boolean[]> {
  const before = tap.resumed.length;
  await broken();
  await until(() => etcd.get("all/k").then(() => true));
  await until(() => tap.resumed.length >= before + 2);
  return tap.resumed.slice(before);
}

async function isUser(name: string, other: string): Promise<void> {
  await etcd.put(`${name}/k`, "v");
  expect(await etcdErrorOf(etcd.put(`${other}/k`, "v"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
}

test("etcd resumes the session of a client, as the one that it is, until its certificate is replaced, and then the next", async () => {
  await using watch = etcd.watch(prefix("all/"));
  const { items } = record(watch);
  await watch.ready;
  expect(tap.resumed[0]).toBe(false);
  await isUser("alice", "bob");

  expect(await reconnect()).not.toContain(false);
  await isUser("alice", "bob");

  await becomes("bob");
  // What is connected stays as it is.
  await isUser("alice", "bob");
  expect((await reconnect())[0]).toBe(false);
  await isUser("bob", "alice");
  expect(await reconnect()).not.toContain(false);
  await isUser("bob", "alice");

  // The server's, too: one that was started anew knows no session.
  await tls().replaceMember(0);
  expect((await reconnect(() => cluster.member(0).restart()))[0]).toBe(false);
  await isUser("bob", "alice");
  const { revision } = await etcd.put("all/k", "last");
  await until(() => items.at(-1)?.revision === revision);
});
