import { afterEach, describe, expect, test } from "vitest";
import { connect, type GrpcConnection, grpcStatus } from "../../../../src/grpc/index.ts";
import { EtcdClient, prefix } from "../../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../../testing/index.ts";
import { type GrpcJsServer, type ServerCall, startGrpcJsServer } from "../../../support/grpc-js-server.ts";
import { ask, listen } from "../../../support/grpc-lab.ts";
import { startGrpcJsProxy } from "../../../support/proxies/grpc-js-proxy.ts";
import { record } from "../../../support/record.ts";
import { until } from "../../../support/until.ts";

const made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of made.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** Says each message again, and ends when the client does. */
function echo(call: ServerCall): void {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
  call.on("error", () => {});
}

async function serve(
  options: Parameters<typeof startGrpcJsServer>[1] = {},
  handle: (call: ServerCall) => void = echo,
): Promise<GrpcJsServer> {
  const server = await startGrpcJsServer({ "/test.Service/Method": handle, "/test.Service/Stream": echo }, options);
  made.push(server);
  return server;
}

async function dial(server: GrpcJsServer, options: Parameters<typeof connect>[1] = {}): Promise<GrpcConnection> {
  const connection = await connect(server.target, options);
  made.push({ [Symbol.asyncDispose]: async () => connection.destroy() });
  return connection;
}

test("calls beyond max_concurrent_streams wait for their turn, also behind a stream", async () => {
  const connection = await dial(await serve({ "grpc.max_concurrent_streams": 1 }));
  const { stream, messages, ends } = listen(connection);
  stream.write(Buffer.from("one"));
  await until(() => messages.length === 1);
  const calls = Array.from({ length: 20 }, (_, index) => ask(connection, undefined, Buffer.from(String(index))));
  expect(connection.counters).toMatchObject({ open: 1, queued: 20 });
  stream.write(Buffer.from("two"));
  await until(() => messages.length === 2);
  expect(connection.counters).toMatchObject({ open: 1, queued: 20 });
  stream.end();
  expect((await Promise.all(calls)).map(({ answer }) => answer)).toEqual(calls.map((_, index) => String(index)));
  expect(ends).toEqual([undefined]);
});

test("large messages pass windows that are small on both sides, each stream at its own pace", async () => {
  const connection = await dial(await serve(), { streamWindowBytes: 5_000, connectionWindowBytes: 65_535 });
  const sizes = [0, 1, 4_999, 65_536, 200_000, 700_000];
  const bodies = sizes.map((size, index) => Buffer.alloc(size, index + 1));
  const slow = listen(connection);
  slow.stream.pause();
  for (const body of bodies) slow.stream.write(body);
  slow.stream.end();
  const answers = await Promise.all(bodies.map((body) => ask(connection, undefined, body)));
  expect(answers.map(({ bytes }, index) => bodies[index]?.equals(bytes as Buffer))).toEqual(bodies.map(() => true));
  expect(slow.ends).toEqual([]);
  slow.stream.resume();
  await until(() => slow.ends.length > 0);
  expect(slow.ends).toEqual([undefined]);
  expect(slow.messages.map(({ length }) => length)).toEqual(sizes);
});

describe("a server that shuts down", () => {
  test("finishes what it has, and what came too late was never executed", async () => {
    const held: ServerCall[] = [];
    const server = await serve({}, (call) => held.push(call));
    const connection = await dial(server);
    const early = [ask(connection), ask(connection), ask(connection)];
    const chat = listen(connection);
    chat.stream.write(Buffer.from("before"));
    await until(() => held.length === 3 && chat.messages.length === 1);
    const down = server.shutDown();
    await until(() => connection.status === "draining");
    expect(connection.reason).toMatchObject({ reason: "goaway", http2Code: 0 });
    const late = await ask(connection);
    expect(late.failure).toMatchObject({ code: grpcStatus.UNAVAILABLE, neverExecuted: true });

    chat.stream.write(Buffer.from("after"));
    await until(() => chat.messages.length === 2);
    for (const call of held) echo(call);
    expect((await Promise.all(early)).map(({ answer }) => answer)).toEqual(["request", "request", "request"]);
    chat.stream.end();
    await down;
    await until(() => connection.status === "closed");
    expect(chat.ends).toEqual([undefined]);
    expect(held).toHaveLength(3);
  });

  test("leaves what it does not finish unknown", async () => {
    const held: ServerCall[] = [];
    const server = await serve({}, (call) => held.push(call));
    const connection = await dial(server);
    const early = ask(connection);
    await until(() => held.length === 1);
    void server.shutDown();
    await until(() => connection.status === "draining");
    await server[Symbol.asyncDispose]();
    expect((await early).failure).toMatchObject({ neverExecuted: false });
  });
});

test("connections that end by their age cost no call: each is executed once", { timeout: 20_000 }, async () => {
  let executed = 0;
  const server = await serve({ "grpc.max_connection_age_ms": 30 }, (call) => {
    executed++;
    echo(call);
  });
  const reasons: (string | undefined)[] = [];
  let answered = 0;
  let refused = 0;
  let current = dial(server);
  const worker = async () => {
    while (reasons.length < 20) {
      const mine = current;
      const connection = await mine;
      const { answer, failure } = await ask(connection);
      if (answer === "request") answered++;
      // Its caller would have to hear of anything else as an unknown outcome.
      else if (failure?.neverExecuted) refused++;
      else throw failure;
      if (connection.status === "open" || current !== mine) continue;
      reasons.push(connection.reason?.reason);
      current = dial(server);
      await current;
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  expect(new Set(reasons)).toEqual(new Set(["goaway"]));
  expect(executed).toBe(answered);
  expect(refused).toBeLessThanOrEqual(4 * reasons.length);
});

describe("before an etcd", () => {
  let cluster: EtcdCluster | undefined;
  afterEach(() => cluster?.close());

  test("a client that is allowed one stream of each connection watches and holds leases all the same", async () => {
    cluster = await startEtcd();
    const proxy = await startGrpcJsProxy(cluster.member(0).endpoint, { "grpc.max_concurrent_streams": 1 });
    made.push(proxy);
    await using etcd = new EtcdClient(proxy.clientOptions);
    const lease = await etcd.grantLease(3);
    await using watch = etcd.watch(prefix("k/"));
    const { items } = record(watch);
    await watch.ready;
    let leftMs = lease.remainingMs();
    await Promise.all(Array.from({ length: 20 }, (_, index) => etcd.put(`k/${index}`, "", { lease })));
    const events = () => items.flatMap(({ events: some }) => some);
    await until(() => events().length === 20);
    await until(() => {
      const beforeMs = leftMs;
      leftMs = lease.remainingMs();
      return leftMs > beforeMs;
    });
    expect(lease.signal.aborted).toBe(false);
  });
});
