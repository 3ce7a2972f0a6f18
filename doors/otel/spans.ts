import { AsyncLocalStorage } from "node:async_hooks";
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Attributes, Context, Span, SpanOptions, Tracer } from "@opentelemetry/api";
import type {
  CallMessage,
  DialMessage,
  EnqueueMessage,
  JobMessage,
  TracedMessage,
  TracingChannelMessages,
} from "../../recipes/index.ts";
import type { OtelApi } from "./options.ts";
import { serverAttributes } from "./server-attributes.ts";
import { statusName } from "./status-name.ts";
import { readTraceParent, writeTraceParent } from "./trace-parent.ts";

export interface SpanParts {
  readonly api: OtelApi;
  readonly tracer: Tracer;
  readonly onlyWithParent: boolean;
}

interface Begun extends SpanOptions {
  readonly name: string;
}

type Name = keyof TracingChannelMessages & string;

/**
 * A span for each message of the tracing channels. Their parent is the span that is active where they begin: the turn
 * of the caller. The span of a job begins a trace of its own, with a link to the span that added the job.
 */
export class Spans {
  readonly #parts: SpanParts;
  readonly #spans = new WeakMap<object, Span>();
  readonly #jobs = new WeakMap<object, Span>();
  /** What ends the subscriptions that begin spans, and those that end them. */
  readonly #ends = { ofBegins: [] as (() => void)[], ofEnds: [] as (() => void)[] };
  #open = 0;
  #closed = false;
  /** What begins a span, by the name of the channel. */
  readonly #begins = new Map<string, (message: object) => void>();

  constructor(parts: SpanParts) {
    this.#parts = parts;
    const { SpanKind } = parts.api;
    this.#trace("etcd-recipes:call", (message) => this.#call(message), endOfCall);
    this.#trace("etcd-recipes:dial", (message) => this.#dial(message));
    this.#trace("etcd-recipes:lock", ({ name }) => ({ name: "lock", attributes: { "etcd_recipes.lock": name } }));
    this.#trace("etcd-recipes:enqueue", (message) => this.#enqueue(message));
    this.#trace(
      "etcd-recipes:job",
      (message) => this.#job(message),
      ({ outcome = "lost" }) => ({ "etcd_recipes.job.outcome": outcome }),
    );
    this.#trace(
      "etcd-recipes:service-call",
      ({ prefix }) => ({ name: `call ${prefix}`, attributes: { "etcd_recipes.prefix": prefix } }),
      ({ attempt }) => ({ "etcd_recipes.attempts": attempt }),
    );
    this.#trace("etcd-recipes:service-attempt", ({ prefix, id, address, attempt }) => ({
      name: `attempt ${prefix}`,
      kind: SpanKind.CLIENT,
      attributes: {
        "etcd_recipes.prefix": prefix,
        "etcd_recipes.service.id": id,
        "etcd_recipes.attempt": attempt,
        ...serverAttributes(address),
      },
    }));
    // What the caller's function does belongs to them.
    this.#activate("etcd-recipes:service-call");
    this.#activate("etcd-recipes:service-attempt");
  }

  /** With the span of a job that was handed out; undefined for one that has none. */
  contextOf(job: object): Context | undefined {
    const { api } = this.#parts;
    const span = this.#jobs.get(job);
    return span && api.trace.setSpan(api.ROOT_CONTEXT, span);
  }

  /** None begins any more. Those that are under way end as they would have. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends.ofBegins.splice(0)) end();
    this.#unlessOpen();
  }

  #unlessOpen(): void {
    if (!this.#closed || this.#open > 0) return;
    for (const end of this.#ends.ofEnds.splice(0)) end();
  }

  #call({ service, method }: CallMessage): Begun | undefined {
    if (!this.#isWanted()) return undefined;
    const name = `${service}/${method}`;
    const attributes = { "rpc.system.name": "grpc", "rpc.method": name };
    return { name, kind: this.#parts.api.SpanKind.CLIENT, attributes };
  }

  #dial({ endpoint }: DialMessage): Begun | undefined {
    if (!this.#isWanted()) return undefined;
    return { name: "dial", kind: this.#parts.api.SpanKind.CLIENT, attributes: serverAttributes(endpoint) };
  }

  #enqueue({ queue, jobs }: EnqueueMessage): Begun {
    const attributes = { ...messaging(queue, "send"), ...(jobs > 1 && { "messaging.batch.message_count": jobs }) };
    return { name: `send ${queue}`, kind: this.#parts.api.SpanKind.PRODUCER, attributes };
  }

  #job({ queue, id, attempt, traceContext }: JobMessage): Begun {
    const { api } = this.#parts;
    const producer = readTraceParent(api, traceContext);
    return {
      name: `process ${queue}`,
      kind: api.SpanKind.CONSUMER,
      // Where it begins says nothing: it may be where another job was acknowledged.
      root: true,
      links: producer ? [{ context: producer }] : [],
      attributes: { ...messaging(queue, "process"), "messaging.message.id": id, "etcd_recipes.attempt": attempt },
    };
  }

  #isWanted(): boolean {
    const { api, onlyWithParent } = this.#parts;
    return !onlyWithParent || api.trace.getActiveSpan() !== undefined;
  }

  /** @param endOf what is known at its end */
  #trace<N extends Name>(
    name: N,
    begin: (message: TracingChannelMessages[N]) => Begun | undefined,
    endOf: (message: TracingChannelMessages[N]) => Attributes = () => ({}),
  ): void {
    const hear = (message: unknown) => this.#begin(message as TracingChannelMessages[N], begin);
    this.#begins.set(name, hear);
    this.#on(`tracing:${name}:start`, hear, this.#ends.ofBegins);
    const over = (message: unknown) => this.#end(message as TracingChannelMessages[N], endOf);
    this.#on(`tracing:${name}:asyncEnd`, over, this.#ends.ofEnds);
  }

  #begin<Message extends object>(message: Message, begin: (message: Message) => Begun | undefined): void {
    // It began when its context was made active.
    if (this.#spans.has(message)) return;
    const begun = begin(message);
    if (!begun) return;
    const { name, ...options } = begun;
    const span = this.#parts.tracer.startSpan(name, options);
    this.#spans.set(message, span);
    this.#open++;
    if ("job" in message) this.#jobs.set(message.job as object, span);
    if ("traceContext" in message && "jobs" in message && this.#parts.api.isSpanContextValid(span.spanContext())) {
      Object.assign(message.traceContext as object, writeTraceParent(span.spanContext()));
    }
  }

  #end<Message extends TracedMessage>(message: Message, endOf: (message: Message) => Attributes): void {
    const span = this.#spans.get(message);
    if (!span) return;
    span.setAttributes(endOf(message));
    const { error, code, outcomeUnknown } = message;
    if (error !== undefined) {
      const why = error instanceof Error ? error.message : String(error);
      span.setAttribute("error.type", code ?? (error instanceof Error ? error.name : "error"));
      if (outcomeUnknown !== undefined) span.setAttribute("etcd_recipes.outcome_unknown", outcomeUnknown);
      span.setStatus({ code: this.#parts.api.SpanStatusCode.ERROR, message: why });
    }
    span.end();
    this.#open--;
    this.#unlessOpen();
  }

  /** The span of a message is active in what runs between its `start` and its `end`. */
  #activate(name: Name): void {
    const { api } = this.#parts;
    const start = channel(`tracing:${name}:start`);
    const store = new ContextStore(api);
    start.bindStore(store, (message) => {
      this.#begins.get(name)?.(message as object);
      const span = this.#spans.get(message as object);
      return span ? api.trace.setSpan(api.context.active(), span) : api.context.active();
    });
    this.#ends.ofBegins.push(() => start.unbindStore(store));
  }

  #on(name: string, hear: (message: unknown) => void, ends: (() => void)[]): void {
    subscribe(name, hear);
    ends.push(() => unsubscribe(name, hear));
  }
}

/**
 * Node runs what is between `start` and `end` by the `run()` of each store that is bound. This one makes the context
 * the active one of OpenTelemetry, whichever context manager the program has. A Node that asks stores in another way
 * gets a store that nothing reads: the spans are there, and those of the caller's function are not their children.
 */
class ContextStore extends AsyncLocalStorage<Context> {
  readonly #api: OtelApi;

  constructor(api: OtelApi) {
    super();
    this.#api = api;
  }

  override run<Result>(context: Context, work: (...args: never[]) => Result, ...args: never[]): Result {
    return this.#api.context.with(context, () => work(...args));
  }
}

function endOfCall({ endpoint, attempt, batchSize, error, grpcStatus }: CallMessage): Attributes {
  const status = statusName(error === undefined ? 0 : grpcStatus);
  return {
    ...serverAttributes(endpoint),
    "etcd_recipes.attempts": attempt,
    "etcd_recipes.batch_size": batchSize,
    ...(status !== undefined && { "rpc.status_code": status }),
  };
}

function messaging(queue: string, operation: "send" | "process"): Attributes {
  return {
    "messaging.system": "etcd",
    "messaging.destination.name": queue,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}
