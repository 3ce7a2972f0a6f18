import { inspect } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as door from "../../recipes/index.ts";
import { endPublicCalls, publicObjects, startPublicCalls } from "./public-calls.ts";

// What an application logs of ours: by `console.log` and by `JSON.stringify`.

beforeAll(startPublicCalls);
afterAll(endPublicCalls);

test("every public object is shown by its public name and a few fields", async () => {
  const wrong: string[] = [];
  const names = new Set<string>();
  for (const made of await publicObjects()) {
    const text = inspect(made, { depth: 10 });
    const json = JSON.stringify(made);
    names.add(text.split(" ", 1)[0] as string);
    if (text.split("\n").length > 30 || /_events|Promise|Symbol\(/.test(text)) wrong.push(text);
    if (!/^\{"\w+":/.test(json) || /_events|"ready"/.test(json)) wrong.push(json);
  }
  expect(wrong).toEqual([]);
  for (const name of ["Lease", "Term", "Lock", "Job", "Mirror", "Watch", "GroupMember", "Membership", "StorageWatch"]) {
    expect(names).toContain(name);
  }
});

test("an object within another is cut off as Node does it, and a class alone is shown as it is", async () => {
  const [client] = await publicObjects();
  expect(inspect({ a: { client } }, { depth: 1 })).toContain("[EtcdClient]");
  expect(inspect(door.EtcdClient.prototype)).not.toContain("endpoints");
  expect(JSON.stringify(door.EtcdClient.prototype)).toBe("{}");
});

test("a key, a lease, a leader, a lock, a job and a service show their values in JSON", async () => {
  const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));
  await using client = new door.EtcdClient();
  const lease = await client.grantLease(60);
  const watch = client.watch("/shown/key");
  await watch.ready;
  const { revision } = await client.put("/shown/key", "value", { lease });
  const kv = { key: "/shown/key", value: "value", createRevision: revision, modRevision: revision, version: 1 };
  expect(asJson(await client.get("/shown/key"))).toEqual({ ...kv, lease: lease.id });
  for await (const batch of watch) {
    expect(asJson(batch)).toEqual({
      type: "events",
      revision,
      events: [{ type: "put", kv: { ...kv, lease: lease.id } }],
    });
    break;
  }
  const mirror = client.mirror("/shown/key");
  for await (const batch of mirror) {
    expect(asJson(batch)).toMatchObject({ type: "snapshot", puts: [{ value: "value" }], deletes: [] });
    break;
  }
  expect(asJson(lease)).toEqual({ id: lease.id, ttlSeconds: 60, remainingMs: expect.any(Number), aborted: false });

  await using election = new door.LeaderElection("/shown/leader", "me", { client });
  await election.lead(async (term) => {
    const { key, token } = term;
    expect(asJson(term)).toEqual({ key, token, aborted: false });
    expect(asJson(await election.leader())).toEqual({ candidate: "me", key, token, revision: expect.any(Number) });
  });
  await using mutex = new door.Mutex("/shown/lock", { client });
  await mutex.run((lock) => {
    expect(asJson(lock)).toEqual({ key: lock.key, token: lock.token, aborted: false });
  });
  await using queue = new door.Queue("/shown/queue", { client });
  const { id } = await queue.enqueue("work");
  const job = await queue.dequeue();
  expect(asJson(job)).toEqual({ id, value: "work", attempt: 1, aborted: false });
  await job.ack();
  await using server = new door.ServiceRegister("/shown/services/a", "10.0.0.1:80", 60, {
    client,
    metadata: { zone: "a" },
  });
  await server.ready;
  await using services = new door.SubscribeService("/shown/services/", { client });
  await services.ready;
  const service = { id: "a", address: "10.0.0.1:80", metadata: { zone: "a" } };
  expect(asJson(services.pick())).toMatchObject(service);
  expect(asJson(services)).toMatchObject({ prefix: "/shown/services/", status: "live", list: [service] });
});

test("no password is shown, however deep one looks, nor by an error", async () => {
  await using client = new door.EtcdClient({
    endpoints: "http://127.0.0.1:9",
    auth: { username: "alice", password: "hunter2" },
  });
  await using services = new door.SubscribeService("/shown/", { client });
  services.on("warning", () => {});
  const error = await client.get("/k", { timeoutMs: 200 }).catch((thrown: unknown) => thrown);
  for (const shown of [client, services, error]) {
    expect(inspect(shown, { depth: 50, showHidden: true, showProxy: true })).not.toContain("hunter2");
    expect(JSON.stringify(shown)).not.toContain("hunter2");
  }
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    name: (error as Error).name,
    message: expect.stringContaining('get "/k"'),
    retryable: true,
    outcomeUnknown: false,
  });
});
