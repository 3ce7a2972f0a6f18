import { getEventListeners, once } from "node:events";
import { createServer } from "node:http";
import { createServer as createServerOfHttp2, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_wrappers,
  MethodOptions_IdempotencyLevel as Level,
  type StringValue,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type HandlerContext, type Transport } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { pickingTransport } from "../../doors/connect/index.ts";
import type { ServiceInstance, SubscribeServiceOptions } from "../../recipes/index.ts";
import { collectGarbage } from "../support/collect-garbage.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { until } from "../support/until.ts";

const text = ".google.protobuf.StringValue";
const method = (name: string, idempotencyLevel: Level, serverStreaming = false) => {
  return { name, inputType: text, outputType: text, serverStreaming, options: { idempotencyLevel } };
};
const methods = [
  method("Say", Level.NO_SIDE_EFFECTS),
  method("Pay", Level.IDEMPOTENCY_UNKNOWN),
  method("Count", Level.NO_SIDE_EFFECTS, true),
];
const file = create(FileDescriptorProtoSchema, {
  name: "test.proto",
  package: "test",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [{ name: "Echo", method: methods }],
});
const files = create(FileDescriptorSetSchema, { file: [file_google_protobuf_wrappers.proto, file] });
const echo = createFileRegistry(files).getService("test.Echo") as DescService;

interface EchoClient {
  say(message: { value: string }, options?: { signal?: AbortSignal; timeoutMs?: number }): Promise<StringValue>;
  pay(message: { value: string }): Promise<StringValue>;
  count(message: { value: string }, options?: { signal?: AbortSignal; timeoutMs?: number }): AsyncIterable<StringValue>;
}

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Starts a server that fails with these codes, one call after the other, and then answers with its name. */
async function serve(prefix: string, name: string, fails: Code[] = []) {
  const calls: string[] = [];
  const answer = (kind: string) => () => {
    calls.push(kind);
    const code = fails.shift();
    if (code !== undefined) throw new ConnectError("as wanted", code);
    return { value: name };
  };
  const count = async function* () {
    calls.push("count");
    for (const value of ["1", "2", "3"]) {
      yield { value };
      if (fails.length > 0) throw new ConnectError("as wanted", fails.shift());
    }
  };
  const handlers = { say: answer("say"), pay: answer("pay"), count };
  const server = createServer(connectNodeAdapter({ routes: (router) => void router.service(echo, handlers as never) }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const register = lab.register(`${prefix}${name}`, address, 5);
  await register.ready;
  lab.also(async () => {
    server.close();
    server.closeAllConnections();
  });
  return { calls, address, register };
}

async function clientOf(prefix: string, options = {}) {
  const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);
  const services = lab.subscribe(prefix, { balancer: (list) => list.toSorted(byId)[0] ?? expect.fail() });
  await services.ready;
  const made: string[] = [];
  const to = (address: string): Transport => {
    made.push(address);
    return createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "1.1" });
  };
  const reported: unknown[] = [];
  const report = services.report.bind(services);
  services.report = (server, error, more) => {
    reported.push((error as ConnectError).code);
    report(server, error, more);
  };
  const client = createClient(echo, pickingTransport(services, to, options)) as unknown as EchoClient;
  return { client, services, made, reported };
}

const hello = { value: "hello" };

test("a method without side effects goes on to another server, one with them is sent once", async () => {
  const prefix = lab.newPrefix();
  const [a, b] = [await serve(prefix, "a", [Code.Unavailable, Code.Unavailable]), await serve(prefix, "b")];
  const { client, made, reported, services } = await clientOf(prefix);
  expect((await client.say(hello)).value).toBe("b");
  await expect(client.pay(hello)).rejects.toMatchObject({ code: Code.Unavailable });
  expect([a.calls, b.calls]).toEqual([["say", "pay"], ["say"]]);
  expect(reported).toEqual([Code.Unavailable]);
  // One transport for each of them.
  expect(made).toEqual([a.address, b.address]);
  // None listens there: it cannot have been sent.
  lab.register(`${prefix}0`, "127.0.0.1:1", 5);
  await services.until((list) => list.length === 3);
  expect((await client.pay(hello)).value).toBe("a");
  expect([a.calls, b.calls]).toEqual([["say", "pay", "pay"], ["say"]]);
});

test("an answer may take its time, however many attempts there may be", async () => {
  const prefix = lab.newPrefix();
  const a = await serve(prefix, "a");
  const { services } = await clientOf(prefix);
  let sent = 0;
  const slowly = (address: string): Transport => {
    const transport = createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "1.1" });
    const unary = (async (...args: Parameters<Transport["unary"]>) => {
      sent++;
      const answer = await transport.unary(...args);
      await sleep(100);
      return answer;
    }) as Transport["unary"];
    return { unary, stream: transport.stream.bind(transport) };
  };
  const transport = pickingTransport(services, slowly, { attempts: 2 ** 31 });
  const client = createClient(echo, transport) as unknown as EchoClient;
  expect((await client.pay(hello)).value).toBe("a");
  expect({ sent, calls: a.calls }).toEqual({ sent: 1, calls: ["pay"] });
});

test("an answer that is an error counts against no server, and is not asked for again", async () => {
  const prefix = lab.newPrefix();
  const [a, b] = [await serve(prefix, "a", Array(9).fill(Code.NotFound)), await serve(prefix, "b")];
  const { client, services, reported } = await clientOf(prefix);
  for (let call = 0; call < 9; call++) await expect(client.say(hello)).rejects.toMatchObject({ code: Code.NotFound });
  expect([a.calls.length, b.calls.length, reported]).toEqual([9, 0, []]);
  expect(services.list().filter(({ ejected }) => ejected)).toEqual([]);
});

test("servers whose calls fail by the user's rule are left out", async () => {
  const prefix = lab.newPrefix();
  await serve(prefix, "a", Array(9).fill(Code.ResourceExhausted));
  await serve(prefix, "b");
  const isFailure = (error: unknown) => (error as ConnectError).code === Code.ResourceExhausted;
  const { client, services } = await clientOf(prefix, { isFailure, attempts: 1 });
  for (let call = 0; call < 5; call++) await expect(client.say(hello)).rejects.toThrow(ConnectError);
  expect(services.list().map(({ id, ejected }) => `${id} ${ejected}`)).toEqual(["a true", "b undefined"]);
  expect((await client.say(hello)).value).toBe("b");
});

test("streams go to a server of the list, and their failures are reported", async () => {
  const prefix = lab.newPrefix();
  const fails: Code[] = [];
  await serve(prefix, "a", fails);
  const { client, reported } = await clientOf(prefix);
  const read = async () => {
    const values: string[] = [];
    for await (const { value } of client.count(hello)) values.push(value);
    return values;
  };
  expect(await read()).toEqual(["1", "2", "3"]);
  for await (const { value } of client.count(hello)) if (value === "1") break;
  expect(reported).toEqual([]);
  fails.push(Code.Internal);
  await expect(read()).rejects.toMatchObject({ code: Code.Internal });
  await expect.poll(() => reported).toEqual([Code.Internal]);
});

test("streams leave no listener on a signal that outlives them", async () => {
  const prefix = lab.newPrefix();
  await serve(prefix, "a");
  const { client } = await clientOf(prefix);
  const { signal } = new AbortController();
  for (let stream = 0; stream < 12; stream++) for await (const _ of client.count(hello, { signal }));
  await until(() => getEventListeners(signal, "abort").length === 0);
});

/** Services with one server, and how many calls to it are in flight. */
async function counted() {
  const prefix = lab.newPrefix();
  const server = await serve(prefix, "a");
  const calls = { started: 0, ended: 0 };
  const balancer: SubscribeServiceOptions["balancer"] = {
    pick: ([first]) => first ?? expect.fail(),
    started: () => void calls.started++,
    ended: () => void calls.ended++,
  };
  const services = lab.subscribe(prefix, { balancer });
  await services.ready;
  return { services, calls, server };
}

interface OpenStream {
  readonly message: AsyncIterable<string>;
}

/** A transport whose streams have two messages. */
async function streamsOf(onOpen = () => {}) {
  const { services, calls } = await counted();
  const messages = async function* () {
    yield* ["1", "2"];
  };
  const to = {
    unary: () => expect.fail(),
    stream: async (): Promise<OpenStream> => {
      onOpen();
      return { message: messages() };
    },
  };
  const { stream } = pickingTransport(services, () => to);
  const open = (signal?: AbortSignal) => (stream as (...args: unknown[]) => Promise<OpenStream>)({}, signal);
  return { open, calls };
}

const iteratorOf = ({ message }: OpenStream) => message[Symbol.asyncIterator]();

test("a stream is in flight until its last message was read", async () => {
  const { open, calls } = await streamsOf();
  const iterator = iteratorOf(await open());
  expect([(await iterator.next()).value, (await iterator.next()).value]).toEqual(["1", "2"]);
  expect(calls).toEqual({ started: 1, ended: 0 });
  expect((await iterator.next()).done).toBe(true);
  await until(() => calls.ended === 1);
  expect((await iterator.next()).done).toBe(true);
});

test.each([0, 1])("a stream that its reader gives up after %i messages is in flight no more", async (messages) => {
  const { open, calls } = await streamsOf();
  const iterator = iteratorOf(await open());
  for (let read = 0; read < messages; read++) await iterator.next();
  expect(calls).toEqual({ started: 1, ended: 0 });
  await iterator.return?.();
  await until(() => calls.ended === 1);
  expect((await iterator.next()).done).toBe(true);
});

test("a stream whose signal aborts is in flight no more, read or not, also when it aborted while it opened", async () => {
  const first = new AbortController();
  const { open, calls } = await streamsOf(() => {
    if (calls.started === 2) second.abort();
  });
  const stream = await open(first.signal);
  first.abort();
  await until(() => calls.ended === 1);
  // It is kept, and not read.
  expect(stream.message).toBeDefined();
  const second = new AbortController();
  await open(second.signal);
  await until(() => calls.ended === 2);
  expect([first, second].map(({ signal }) => getEventListeners(signal, "abort"))).toEqual([[], []]);
});

test("a stream that is dropped, unread or at its first message, is in flight until garbage is collected", async () => {
  const { services, calls, server } = await counted();
  const to = (address: string) => createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "1.1" });
  const transport = pickingTransport(services, to);
  const client = createClient(echo, transport) as unknown as EchoClient;
  // The client of connect-es hands no end of a loop on.
  for await (const { value } of client.count(hello)) if (value === "1") break;
  await transport.stream(echo.method.count as never, undefined, undefined, undefined, asked() as never);
  expect(server.calls).toEqual(["count", "count"]);
  expect(calls).toEqual({ started: 2, ended: 0 });
  await until(() => {
    collectGarbage();
    return calls.ended === 2;
  });
});

async function* asked() {
  yield hello;
}

test("a call waits for a first server, within its time, and its signal ends it", async () => {
  const prefix = lab.newPrefix();
  const { client } = await clientOf(prefix);
  const { client: impatient } = await clientOf(prefix, { waitMs: 30 });
  const none = await impatient.say(hello).catch((error) => error);
  expect(none).toBeInstanceOf(ConnectError);
  expect(none).toMatchObject({ code: Code.Unavailable, cause: { code: "ETCD_NO_SERVERS" } });
  await expect(client.say(hello, { timeoutMs: 30 })).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  const controller = new AbortController();
  const aborted = client.say(hello, { signal: controller.signal });
  await sleep(5);
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: Code.Canceled });
  const waiting = client.say(hello);
  await serve(prefix, "late");
  expect((await waiting).value).toBe("late");
});

/** Starts a server of HTTP/2, and keeps the deadlines that its calls came with. */
async function serveDeadlines(prefix: string) {
  const deadlines: (number | undefined)[] = [];
  const heard = ({ timeoutMs }: HandlerContext) => {
    deadlines.push(timeoutMs());
    return hello;
  };
  const handlers = {
    say: (_: unknown, context: HandlerContext) => heard(context),
    async *count(_: unknown, context: HandlerContext) {
      yield heard(context);
    },
  };
  const routes = connectNodeAdapter({ routes: (router) => void router.service(echo, handlers as never) });
  const server = createServerOfHttp2(routes);
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => void sessions.push(session));
  await once(server.listen(0, "127.0.0.1"), "listening");
  lab.also(async () => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  await lab.register(`${prefix}a`, `127.0.0.1:${(server.address() as AddressInfo).port}`, 5).ready;
  return deadlines;
}

test.each([
  ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2", defaultTimeoutMs: 60_000 })],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl, defaultTimeoutMs: 60_000 })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "2", defaultTimeoutMs: 60_000 })],
])(
  "%s: a server gets the deadline of a call and of a stream, and none where 0 turns it off",
  async (_, transportTo) => {
    const prefix = lab.newPrefix();
    const deadlines = await serveDeadlines(prefix);
    const services = lab.subscribe(prefix);
    await services.ready;
    const transport = pickingTransport(services, (address) => transportTo(`http://${address}`));
    const client = createClient(echo, transport) as unknown as EchoClient;
    for (const timeoutMs of [50_000, 0]) {
      expect((await client.say(hello, { timeoutMs })).value).toBe("hello");
      for await (const { value } of client.count(hello, { timeoutMs })) expect(value).toBe("hello");
    }
    expect(deadlines).toEqual([expect.any(Number), expect.any(Number), undefined, undefined]);
    for (const deadline of deadlines.slice(0, 2)) expect(deadline).toBeLessThanOrEqual(50_000);
  },
);

test("a call whose time is over when it is sent has a deadline of 1 ms, and not none", async () => {
  const prefix = lab.newPrefix();
  lab.register(`${prefix}a`, "127.0.0.1:1", 5);
  const pick = ([first]: readonly ServiceInstance[]) => {
    const endMs = performance.now() + 2;
    while (performance.now() < endMs);
    return first ?? expect.fail();
  };
  const services = lab.subscribe(prefix, { balancer: pick });
  await services.until((list) => list.length === 1);
  const deadlines: unknown[] = [];
  const unary = async (_method: unknown, _signal: unknown, timeoutMs: unknown) => void deadlines.push(timeoutMs);
  const transport = pickingTransport(services, () => ({ unary, stream: () => expect.fail() }));
  await (transport.unary as (...args: unknown[]) => Promise<unknown>)({ idempotency: 0 }, undefined, 2);
  expect(deadlines).toEqual([1]);
});

const systemError = (syscall: string, code: string) =>
  Object.assign(new Error(`${syscall} ${code}`), { syscall, code });
const refused = systemError("connect", "ECONNREFUSED");

const coded = (code: string) => Object.assign(new Error("without a syscall"), { code });
const ofAll = (...errors: Error[]) => new AggregateError(errors, "all addresses");

test.each([
  ["more than once after a refused connection", refused, 2],
  ["more than once after a connection that timed out", systemError("connect", "ETIMEDOUT"), 2],
  ["more than once after a name that has no address", systemError("getaddrinfo", "EAI_AGAIN"), 2],
  ["more than once after a refused connection of fetch", new TypeError("fetch failed", { cause: refused }), 2],
  ["more than once after a time-out of fetch", coded("UND_ERR_CONNECT_TIMEOUT"), 2],
  ["more than once when no address can be reached", ofAll(refused, systemError("connect", "ENETUNREACH")), 2],
  ["once when a connection breaks in a read", systemError("read", "EHOSTUNREACH"), 1],
  ["once when a connection breaks in a write", systemError("write", "ENETUNREACH"), 1],
  ["once after a code that does not say what failed", coded("ECONNREFUSED"), 1],
  ["once when one of several connections broke", ofAll(refused, systemError("read", "EHOSTUNREACH")), 1],
  ["once after no error at all of several", Object.assign(ofAll(), { code: "ECONNREFUSED" }), 1],
])("a call that may not be repeated is sent %s", async (_, cause, times) => {
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) lab.register(`${prefix}${id}`, `127.0.0.1:${id === "a" ? 1 : 2}`, 5);
  const services = lab.subscribe(prefix);
  await services.until((list) => list.length === 2);
  let sent = 0;
  const unary = async () => {
    sent++;
    if (sent === 1) throw new ConnectError("as wanted", Code.Unavailable, undefined, undefined, cause);
    return "answered";
  };
  const transport = pickingTransport(services, () => ({ unary, stream: () => expect.fail() }));
  const pay = () => (transport.unary as (...args: unknown[]) => Promise<unknown>)({ idempotency: 0 });
  expect(await pay().catch((error) => error.cause)).toBe(times === 2 ? "answered" : cause);
  expect(sent).toBe(times);
});

test("the transport of a server that has left is dropped", async () => {
  const prefix = lab.newPrefix();
  const { client, made, services } = await clientOf(prefix);
  const a = await serve(prefix, "a");
  await client.say(hello);
  await a.register.close();
  await services.until((list) => list.length === 0);
  const b = await serve(prefix, "b");
  await client.say(hello);
  lab.register(`${prefix}a`, a.address, 5);
  await services.until((list) => list.length === 2);
  await client.say(hello);
  expect(made).toEqual([a.address, b.address, a.address]);
});

test.each([
  [{}, () => {}, {}, "services", /SubscribeService/],
  [undefined, undefined, {}, "transportTo", /npm install @connectrpc\/connect @connectrpc\/connect-node/],
  [undefined, () => {}, { attempts: 0 }, "attempts", /at least 1/],
  [undefined, () => {}, { waitMs: -1 }, "waitMs", /at least 0/],
  [undefined, () => {}, { isFailure: 1 }, "isFailure", /a function/],
  [undefined, () => {}, { retries: 1 }, "retries", /is no option/],
  [undefined, () => {}, null, "options", /must be a plain object, not null/],
  [undefined, () => {}, 5, "options", /must be a plain object, not 5/],
  [undefined, () => {}, [], "options", /must be a plain object, not an array/],
  [undefined, () => {}, { waitMs: "1" }, "waitMs", /a number of milliseconds, .*, not '1'/],
  [undefined, () => {}, { attempts: Object.create(null) }, "attempts", /not an object/],
])("a bad argument is refused by name: %o, %o, %o", (services, to, options, option, message) => {
  const error = expect.objectContaining({ option, message: expect.stringMatching(message) });
  const make = () => pickingTransport((services ?? lab.subscribe("/any/")) as never, to as never, options as never);
  expect(make).toThrow(error);
});
