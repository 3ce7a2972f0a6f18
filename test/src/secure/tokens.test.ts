import { afterEach, expect, test } from "vitest";
import { EtcdClient, type EtcdClientOptions } from "../../../src/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import {
  createdAnswer,
  grantAnswer,
  refusals,
  type Script,
  type ScriptedCall,
  ScriptedEtcd,
  tokenAnswer,
} from "./scripted-etcd.ts";

// GUARANTEES 3: one token for a client, renewed as often as it must be and no more often. A server that does what the
// test says: real ones take and refuse tokens when they like.

const made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of made.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** Gives out t1, t2, t3 … and leaves every other call to `script`. */
async function setUp(script: Script, options: EtcdClientOptions = {}) {
  let tokens = 0;
  const server = await ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") call.answer(tokenAnswer(`t${++tokens}`));
    else script(call);
  });
  return { server, etcd: client(server, options) };
}

function client(server: ScriptedEtcd, options: EtcdClientOptions = {}): EtcdClient {
  const etcd = new EtcdClient({
    endpoints: server.endpoint,
    auth: { username: "alice", password: "p" },
    requestTimeoutMs: 20_000,
    ...options,
  });
  made.push(server, etcd);
  return etcd;
}

/** Takes one token and no other. */
function takes(token: string, refusal: readonly [number, string] = refusals.invalidToken): Script {
  return (call) => (call.token === token ? call.answer() : call.refuse(refusal));
}

test.each(["invalidToken", "oldRevision", "noUserName"] as const)(
  "a call is made again with another token when etcd says: %s",
  async (name) => {
    // Users can change between a token and its call, more than once.
    const { server, etcd } = await setUp(takes("t3", refusals[name]));
    await etcd.put("k", "v");
    expect(server.tokens("Put")).toEqual(["t1", "t2", "t3"]);
    await etcd.range("k");
    expect(server.tokens("Range")).toEqual(["t3"]);
  },
);

test("a call whose tokens are all refused fails at once, after four", async () => {
  const { server, etcd } = await setUp(takes("none"));
  const { error, tookMs } = await outcomeOf(etcd.put("k", "v"));
  expect(error).toMatchObject({ code: "ETCD_UNAUTHENTICATED", retryable: false, outcomeUnknown: false });
  expect(server.tokens("Put")).toEqual(["t1", "t2", "t3", "t4"]);
  expect(tookMs).toBeLessThan(10_000);
});

test("as long as users change, or a member lags, a call asks for tokens again, within its time", async () => {
  const { server, etcd } = await setUp(takes("t8", refusals.oldRevision));
  await etcd.put("k", "v");
  expect(server.tokens("Put")).toHaveLength(8);
  server.script = (call) => {
    if (call.method === "Authenticate") call.answer(tokenAnswer("old"));
    else call.refuse(refusals.oldRevision);
  };
  const error = await etcdErrorOf(etcd.put("k", "v", { timeoutMs: 1_000 }));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: false });
  expect(error.message).toContain("revision of auth store is old");
  // With pauses: without them it would be hundreds.
  expect(server.tokens("Put").length).toBeLessThan(100);
});

test("many calls whose token is refused renew it once, whenever each of them hears of it", async () => {
  const held: ScriptedCall[] = [];
  const { server, etcd } = await setUp((call) => (call.token === "t1" ? held.push(call) : call.answer()));
  const calls = Array.from({ length: 50 }, () => etcd.range("k"));
  await until(() => held.length === 50);
  held[0]?.refuse(refusals.invalidToken);
  await calls[0];
  // These were sent with the token of then: nothing follows from it for the one of now.
  for (const call of held.slice(1)) call.refuse(refusals.invalidToken);
  await Promise.all(calls);
  expect(server.tokens("Authenticate")).toHaveLength(2);
  expect(server.tokens("Range").filter((token) => token === "t2")).toHaveLength(50);
});

test("a grant of a lease that was cut off in between is made again with another token", async () => {
  let cut = false;
  const { server, etcd } = await setUp((call) => {
    // As a member that restarts: it breaks the connection, and has forgotten the token.
    if (!cut) call.cut();
    else if (call.token === "t2") call.answer(grantAnswer);
    else call.refuse(refusals.invalidToken);
    cut = true;
  });
  await etcd.grantLease(60, { keepAlive: false });
  expect(server.tokens("LeaseGrant")).toEqual(["t1", "t1", "t2"]);
});

test("a write that may have been executed is not made again, whatever its token", async () => {
  const { server, etcd } = await setUp((call) => call.cut());
  expect(await etcdErrorOf(etcd.put("k", "v"))).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown: true });
  expect(server.tokens("Put")).toEqual(["t1"]);
});

test("a stream that ends for its token gives the next one another, also without any call", async () => {
  const { server, etcd } = await setUp((call) => {
    if (call.token === "t1") call.refuse(refusals.invalidToken);
    else call.answer(createdAnswer, { open: true });
  });
  await using watch = etcd.watch("k", { startRevision: 6 });
  await watch.ready;
  expect(server.tokens("Watch")).toEqual(["t1", "t2"]);
  expect(server.calls.map(({ method }) => method)).not.toContain("Range");
});

test("what a member says of itself needs no token, and takes one where it is asked for", async () => {
  const { server, etcd } = await setUp((call) => call.answer());
  await etcd.status();
  expect(server.tokens("Status")).toEqual([undefined]);
  expect(server.tokens("Authenticate")).toEqual([]);
  for (const name of ["noUserName", "permissionDenied"] as const) {
    server.calls.length = 0;
    const { script } = server;
    server.script = (call) => (call.method === "Status" && !call.token ? call.refuse(refusals[name]) : script(call));
    await etcd.status();
    expect(server.tokens("Status")).toEqual([undefined, "t1"]);
    server.script = script;
  }
});

test("without authentication calls go without a token, and with one as soon as it is enabled", async () => {
  for (const name of ["noUserName", "permissionDenied"] as const) {
    const server = await ScriptedEtcd.start((call) =>
      call.method === "Authenticate" ? call.refuse(refusals.notEnabled) : call.answer(),
    );
    const etcd = client(server);
    await etcd.put("k", "v");
    await etcd.put("k", "v");
    expect(server.tokens("Put")).toEqual([undefined, undefined]);
    expect(server.tokens("Authenticate")).toHaveLength(1);
    server.script = (call) =>
      call.method === "Authenticate" ? call.answer(tokenAnswer("t1")) : takes("t1", refusals[name])(call);
    await etcd.put("k", "v");
    expect(server.tokens("Put").slice(2)).toEqual([undefined, "t1"]);
  }
});

test("a permission that is missing is no reason for another token", async () => {
  const { server, etcd } = await setUp((call) => call.refuse(refusals.permissionDenied));
  expect(await etcdErrorOf(etcd.put("k", "v"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED", retryable: false });
  expect(server.tokens("Put")).toEqual(["t1"]);
});

test("a password that is refused is tried once for each call, and again for the next", async () => {
  const server = await ScriptedEtcd.start((call) => call.refuse(refusals.wrongPassword));
  const etcd = client(server);
  expect(await etcdErrorOf(etcd.put("k", "v"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED", retryable: false });
  expect(server.tokens("Authenticate")).toHaveLength(1);
  // One that makes no call: its stream needs a token.
  expect(await etcdErrorOf(etcd.watch("k", { startRevision: 5 }).ready)).toMatchObject({
    code: "ETCD_UNAUTHENTICATED",
  });
  server.script = (call) => call.answer(call.method === "Authenticate" ? tokenAnswer("t1") : undefined);
  await etcd.put("k", "v");
  expect(server.tokens("Put")).toEqual(["t1"]);
});

test("a request for a token that is not answered is made again within the time of the call", async () => {
  const server = await ScriptedEtcd.start(() => {});
  const etcd = client(server, { requestTimeoutMs: 300 });
  const put = etcd.put("k", "v", { timeoutMs: 15_000 });
  await until(() => server.calls.length > 2);
  server.script = (call) => call.answer(call.method === "Authenticate" ? tokenAnswer("t1") : undefined);
  await put;
});

test("a call that gets no token says why", async () => {
  const server = await ScriptedEtcd.start((call) => call.refuse(refusals.noLeader));
  const etcd = client(server, { requestTimeoutMs: 1_000 });
  for (const timeoutMs of [undefined, 300]) {
    const { error, tookMs } = await outcomeOf(etcd.put("k", "v", { timeoutMs }));
    expect(error).toMatchObject({
      code: "ETCD_UNAVAILABLE",
      outcomeUnknown: false,
      message: expect.stringContaining("no leader"),
    });
    expect(tookMs).toBeLessThan(5_000);
  }
  // What it failed with then says nothing of a later one that is not answered.
  server.script = (call) => call.answer(call.method === "Authenticate" ? tokenAnswer("t1") : undefined);
  await etcd.put("k", "v");
  server.script = (call) => call.method === "Put" && call.refuse(refusals.invalidToken);
  expect(await etcdErrorOf(etcd.put("k", "v", { timeoutMs: 200 }))).toMatchObject({
    message: expect.not.stringContaining("no leader"),
  });
});

test("a call that waits for a token ends with its own time, and with its own signal", async () => {
  const server = await ScriptedEtcd.start(() => {});
  const etcd = client(server);
  const abort = new AbortController();
  const aborted = outcomeOf(etcd.put("k", "v", { signal: abort.signal }));
  const { error, tookMs } = await outcomeOf(etcd.put("k", "v", { timeoutMs: 300 }));
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: false });
  expect(tookMs).toBeLessThan(5_000);
  abort.abort(new Error("enough"));
  const ended = await aborted;
  expect(ended.error).toBe(abort.signal.reason);
  expect(ended.tookMs).toBeLessThan(5_000);
  expect(server.tokens("Put")).toEqual([]);
});

test("a stream that waits for a token is given up in time, and opened when there is one", async () => {
  const server = await ScriptedEtcd.start(() => {});
  const etcd = client(server, { dialTimeoutMs: 200, requestTimeoutMs: 60_000 });
  await using watch = etcd.watch("k", { startRevision: 5 });
  await until(() => server.calls.length > 0);
  server.script = (call) => {
    if (call.method === "Authenticate") call.answer(tokenAnswer("t1"));
    else call.answer(createdAnswer, { open: true });
  };
  await watch.ready;
});

test("a stream that waits for a token says what the request for it failed with", async () => {
  const server = await ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") call.refuse([14, "try another time"]);
    else call.answer(createdAnswer, { open: true });
  });
  const etcd = client(server, { dialTimeoutMs: 200 });
  const received: string[] = [];
  const onStatus = (_: unknown, error?: Error) => void (error && received.push(error.message));
  await using _watch = etcd.watch("k", { startRevision: 5, onStatus });
  await until(() => received.length > 0);
  expect(received[0]).toMatch(/^watch "k": no token yet; last: .*try another time/);
});

test("a status that is asked for once more, with a token, has what is left of its time", async () => {
  const timeoutMs = 3_000;
  let tookMs = 0;
  const limits: (number | undefined)[] = [];
  await using server = await ScriptedEtcd.start((call) => {
    if (call.method === "Authenticate") {
      call.answer(tokenAnswer("t1"));
      return;
    }
    limits.push(call.timeoutMs);
    if (call.token !== undefined) {
      call.refuse(refusals.permissionDenied);
      return;
    }
    const cameMs = performance.now();
    setTimeout(() => {
      tookMs = performance.now() - cameMs;
      call.refuse(refusals.permissionDenied);
    }, 500);
  });
  await using etcd = new EtcdClient({ endpoints: server.endpoint, auth: { username: "alice", password: "p" } });
  expect(await etcdErrorOf(etcd.status({ timeoutMs }))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  expect(limits.length).toBe(2);
  // An attempt gets a third of the time that is left, and says so in two digits, rounded up.
  expect(tookMs).toBeGreaterThan(100);
  expect(limits[1]).toBeLessThanOrEqual(10 * Math.ceil((timeoutMs - tookMs) / 30));
});
