import { channel } from "node:diagnostics_channel";
import * as api from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startOtel } from "../../../doors/otel/index.ts";
import { serverAttributes } from "../../../doors/otel/server-attributes.ts";
import { EtcdClient, Mutex, prefix, Queue, SubscribeService } from "../../../recipes/index.ts";
import { type BorrowedEtcd, borrowEtcd } from "../../support/borrow-etcd.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

class Reader extends MetricReader {
  override async onForceFlush() {}
  override async onShutdown() {}
}

const exporter = new InMemorySpanExporter();
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const tracer = tracerProvider.getTracer("test");
let borrowed: BorrowedEtcd;
let etcd: EtcdClient;

beforeAll(async () => {
  api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  borrowed = await borrowEtcd();
  etcd = new EtcdClient({ endpoints: borrowed.endpoints });
  await etcd.get("warm");
});
afterEach(() => exporter.reset());
afterAll(async () => {
  api.context.disable();
  await etcd?.close();
  await borrowed?.[Symbol.asyncDispose]();
});

const key = (name: string) => `${borrowed.prefix}${name}`;
const named = (name: string | RegExp) =>
  exporter.getFinishedSpans().filter((span) => (typeof name === "string" ? span.name === name : name.test(span.name)));
const idOf = (span: api.Span | ReadableSpan) => span.spanContext().spanId;

/** Runs `work` in a span of its own. */
function inSpan<T>(name: string, work: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, (span) => work().finally(() => span.end()));
}

test("a call is a span of its caller's, by the conventions of RPC, also where calls travel together", async () => {
  using _ = startOtel({ api, tracerProvider, metrics: false });
  await Promise.all(["a", "b"].map((name) => inSpan(name, () => etcd.put(key(name), "v", { batch: true }))));
  await outcomeOf(etcd.put(key("c"), "v", { lease: "7777777777" as never }));
  const [first, second, failed] = named("etcdserverpb.KV/Put");
  const [a, b] = [named("a")[0], named("b")[0]] as [ReadableSpan, ReadableSpan];
  expect([first?.parentSpanContext?.spanId, second?.parentSpanContext?.spanId]).toEqual([idOf(a), idOf(b)]);
  const { hostname, port } = new URL(borrowed.endpoints[0] as string);
  expect(first).toMatchObject({ kind: api.SpanKind.CLIENT, status: { code: api.SpanStatusCode.UNSET } });
  expect(first?.attributes).toEqual({
    "rpc.system.name": "grpc",
    "rpc.method": "etcdserverpb.KV/Put",
    "rpc.status_code": "OK",
    "server.address": hostname,
    "server.port": Number(port),
    "etcd_recipes.attempts": 1,
    "etcd_recipes.batch_size": 2,
  });
  expect(failed).toMatchObject({ parentSpanContext: undefined, status: { code: api.SpanStatusCode.ERROR } });
  expect(failed?.attributes).toMatchObject({
    "rpc.status_code": "NOT_FOUND",
    "error.type": "ETCD_LEASE_NOT_FOUND",
    "etcd_recipes.outcome_unknown": false,
  });
});

test("the run of a job is linked to the span that added it, and its context can be made active", async () => {
  using otel = startOtel({ api, tracerProvider, metrics: false });
  await using queue = new Queue(key("queue"), { client: etcd });
  await inSpan("request", () => queue.enqueue("build"));
  const job = await queue.dequeue();
  await api.context.with(otel.contextOf(job), () => inSpan("build", async () => {}));
  await job.ack();
  const [send] = named(/^send/);
  const [run] = named(/^process/);
  const [request] = named("request");
  expect(send).toMatchObject({
    kind: api.SpanKind.PRODUCER,
    parentSpanContext: { spanId: idOf(request as ReadableSpan) },
  });
  expect(run).toMatchObject({ kind: api.SpanKind.CONSUMER, parentSpanContext: undefined });
  expect(run?.links.map(({ context }) => [context.traceId, context.spanId])).toEqual([
    [send?.spanContext().traceId, send?.spanContext().spanId],
  ]);
  expect(run?.attributes).toMatchObject({
    "messaging.system": "etcd",
    "messaging.destination.name": key("queue"),
    "messaging.message.id": job.id,
    "etcd_recipes.attempt": 1,
    "etcd_recipes.job.outcome": "acknowledged",
  });
  expect(named("build")[0]?.parentSpanContext?.spanId).toBe(idOf(run as ReadableSpan));
});

test("the number of jobs is in the span of a batch, and not in that of a single job", async () => {
  using _ = startOtel({ api, tracerProvider, metrics: false });
  await using queue = new Queue(key("counted"), { client: etcd });
  await queue.enqueue("a");
  await queue.enqueueMany(["b", "c"]);
  const counts = named(/^send/).map(({ attributes }) => attributes["messaging.batch.message_count"]);
  expect(counts).toEqual([undefined, 2]);
});

test("a span that is under way at close() ends with what it stands for, and then nothing is subscribed", async () => {
  const names = ["job", "call"].map((name) => `tracing:etcd-recipes:${name}:asyncEnd`);
  const heard = () => names.map((name) => channel(name).hasSubscribers);
  const before = heard();
  const otel = startOtel({ api, tracerProvider, metrics: false });
  await using queue = new Queue(key("open"), { client: etcd });
  await queue.enqueue("build");
  const job = await queue.dequeue();
  otel.close();
  await job.ack();
  expect(named(/^process/).map(({ attributes }) => attributes["etcd_recipes.job.outcome"])).toEqual(["acknowledged"]);
  await until(() => heard().every((each, index) => each === before[index]));
});

test("what call() runs belongs to the span of its attempt, and that to the span of the call", async () => {
  using _ = startOtel({ api, tracerProvider, metrics: false });
  await etcd.put(key("svc/a"), "10.0.0.1:80");
  await using services = new SubscribeService(key("svc/"), { client: etcd });
  await services.ready;
  let times = 0;
  await services.call(
    () =>
      inSpan("work", async () => {
        if (++times === 1) throw new Error("down");
      }),
    { attempts: 2 },
  );
  const [call] = named(/^call/);
  const attempts = named(/^attempt/);
  expect(call?.attributes).toMatchObject({ "etcd_recipes.attempts": 2 });
  expect(attempts.map((span) => span.parentSpanContext?.spanId)).toEqual([
    idOf(call as ReadableSpan),
    idOf(call as ReadableSpan),
  ]);
  expect(attempts.map(({ status }) => status.message)).toEqual(["down", undefined]);
  expect(attempts[0]?.attributes).toMatchObject({ "server.address": "10.0.0.1", "server.port": 80 });
  expect(named("work").map((span) => span.parentSpanContext?.spanId)).toEqual(attempts.map(idOf));
});

test("what no span led to is left out on request, and nothing begins after close()", async () => {
  const otel = startOtel({ api, tracerProvider, metrics: false, onlyWithParent: true });
  await etcd.get(key("a"));
  expect(exporter.getFinishedSpans()).toEqual([]);
  await inSpan("asks", () => etcd.get(key("a")));
  expect(named("etcdserverpb.KV/Range").length).toBe(1);
  otel.close();
  otel.close();
  exporter.reset();
  await inSpan("asks", () => etcd.get(key("a")));
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(["asks"]);
});

test("histograms, counters and gauges are kept by the meter", async () => {
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const otel = startOtel({ api, meterProvider, spans: false });
  await using own = new EtcdClient({ endpoints: borrowed.endpoints });
  await own.grantLease(1);
  await using mirror = own.mirror(prefix(key("m/")));
  await mirror.ready;
  await using mutex = new Mutex(key("lock"), { client: own });
  await mutex.run(async () => {});
  const read = async () => {
    const { resourceMetrics } = await reader.collect();
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return new Map(all.map((metric) => [metric.descriptor.name, metric]));
  };
  await until(async () => (await read()).get("etcd_recipes.lease.margin")?.dataPoints.length);
  const metrics = await read();
  expect(metrics.get("etcd_recipes.lock.wait")).toMatchObject({
    descriptor: { unit: "s" },
    dataPoints: [
      {
        attributes: { outcome: "ok" },
        value: { count: 1, buckets: { boundaries: expect.arrayContaining([0.001, 30]) } },
      },
    ],
  });
  const ended = metrics.get("etcd_recipes.leases.ended")?.dataPoints;
  expect(ended?.map(({ attributes, value }) => [attributes.how, value])).toEqual([
    ["revoked", 1],
    ["expired", 0],
    ["lost", 0],
  ]);
  expect(metrics.get("etcd_recipes.leases.held")?.dataPoints).toMatchObject([{ value: 1 }]);
  otel.close();
  const count = async () => (await read()).get("etcd_recipes.call.duration")?.dataPoints.length;
  const before = await count();
  await own.get(key("a"));
  expect(await count()).toBe(before);
  await meterProvider.shutdown();
});

test("the missing API is named, and what to install", () => {
  expect(() => startOtel({} as never)).toThrow(
    "startOtel: api must be the module @opentelemetry/api: npm install @opentelemetry/api, " +
      'and hand its module in: import * as api from "@opentelemetry/api"',
  );
  expect(() => startOtel({ api, span: true } as never)).toThrow("startOtel: span is no option");
  expect(() => startOtel({ api, spans: "no" as never })).toThrow("startOtel: spans must be true or false, not string");
  expect(() => startOtel({ api, tracerProvider: {} as never })).toThrow("tracerProvider must have getTracer()");
});

test("addresses of all forms become server.address and server.port", () => {
  expect(
    ["http://10.0.0.1:2379", "https://etcd.example", "[::1]:80", "host:80", "unix:/run/a.sock"].map(serverAttributes),
  ).toEqual([
    { "server.address": "10.0.0.1", "server.port": 2379 },
    { "server.address": "etcd.example" },
    { "server.address": "::1", "server.port": 80 },
    { "server.address": "host", "server.port": 80 },
    { "server.address": "unix:/run/a.sock" },
  ]);
});
