import type { Socket } from "node:net";
import type { Clock } from "../internal/clock.ts";
import { nextTick, setImmediate } from "../internal/real-time.ts";
import type { ConnectionError } from "./connection-error.ts";
import { ConnectionFrames } from "./connection-frames.ts";
import { Deadlines } from "./deadlines.ts";
import { closedError, exhaustedError, goawayError, protocolError, silentError } from "./end-reasons.ts";
import { Exchange, type ExchangePort, type Receiver } from "./exchange.ts";
import type { ExchangeTable } from "./exchange-table.ts";
import { FrameDispatch } from "./frame-dispatch.ts";
import type {
  CallOptions,
  ConnectionCounters,
  ConnectionStatus,
  GrpcCall,
  GrpcConnection,
  GrpcStream,
  OnAnswer,
  StreamHandlers,
  StreamOptions,
} from "./grpc-connection.ts";
import { type GrpcFailure, grpcFailure } from "./grpc-failure.ts";
import { FrameBudget, reasons } from "./http2/frame-budget.ts";
import { FrameReader } from "./http2/frame-reader.ts";
import { FrameWriter } from "./http2/frame-writer.ts";
import { MOST_HEADER_BYTES } from "./http2/header-block.ts";
import type { LivenessTimes } from "./http2/liveness.ts";
import { DEFAULT_WINDOW_BYTES, errorCode, settingId } from "./http2/protocol.ts";
import { MessageStream } from "./message-stream.ts";
import { PingAnswers } from "./ping-answers.ts";
import { type RequestHead, RequestHeaders } from "./request-headers.ts";
import { ResponseFrames } from "./response-frames.ts";
import { rethrow } from "./rethrow.ts";
import { Sender } from "./sender.ts";
import { grpcStatus } from "./status.ts";
import { UnaryCall } from "./unary-call.ts";
import { Watchdog } from "./watchdog.ts";

export interface ClientConnectionParts {
  /** Connected, and secured where that is asked for. */
  readonly socket: Socket;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent: string;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxMessageBytes: number;
  readonly liveness: LivenessTimes;
  readonly clock: Clock;
  readonly table: ExchangeTable;
  /** The server has sent its settings, for the first time or once more. */
  onSettled(): void;
  onDraining(reason: ConnectionError): void;
  onEnd(reason: ConnectionError): void;
}

const deadlinePassed = "no answer within the deadline";

/** The calls of one connection: how they begin, and how they end. */
export class ClientConnection implements GrpcConnection, ExchangePort {
  readonly #parts: ClientConnectionParts;
  readonly #table: ExchangeTable;
  readonly #writer: FrameWriter;
  readonly #reader: FrameReader;
  readonly #headers: RequestHeaders;
  readonly #budget: FrameBudget;
  readonly #sender: Sender;
  readonly #responses: ResponseFrames;
  readonly #frames: ConnectionFrames;
  readonly #pingAnswers: PingAnswers;
  readonly #deadlines: Deadlines;
  readonly #watchdog: Watchdog;
  #status: ConnectionStatus = "open";
  #reason: ConnectionError | undefined;
  #idleSinceMs: number | undefined;
  #bytesRead = 0;

  constructor(parts: ClientConnectionParts) {
    const { socket, scheme, authority, userAgent, clock, table } = parts;
    this.#parts = parts;
    this.#table = table;
    this.#idleSinceMs = clock.monotonicMs();
    const writer = new FrameWriter(socket);
    this.#writer = writer;
    const headers = new RequestHeaders(scheme, authority, userAgent);
    this.#headers = headers;
    const budget = new FrameBudget(() => clock.monotonicMs());
    this.#budget = budget;
    const sender = new Sender(writer, budget);
    this.#sender = sender;
    const end = (exchange: Exchange, failure: GrpcFailure | undefined, resetCode: number | undefined) =>
      this.#end(exchange, failure, resetCode);
    this.#responses = new ResponseFrames({ ...parts, writer, budget, end });
    this.#watchdog = new Watchdog({
      clock,
      times: parts.liveness,
      writer,
      openCount: () => table.openCount,
      unaryCount: () => table.unaryOpen,
      silent: () => this.destroy(silentError()),
    });
    this.#pingAnswers = new PingAnswers(clock, writer, (error) => this.#breakOff(protocolError(error)));
    this.#frames = new ConnectionFrames({
      table,
      writer,
      budget,
      sender,
      pingAnswers: this.#pingAnswers,
      headers,
      end,
      settled: () => {
        this.#openQueued();
        parts.onSettled();
      },
      acknowledged: (answers) => this.#watchdog.acknowledged(answers),
      goaway: (lastId, code, words) => this.#goaway(lastId, goawayError(code, words)),
    });
    this.#reader = new FrameReader(new FrameDispatch(this.#responses, this.#frames, budget));
    this.#deadlines = new Deadlines(clock, () => setImmediate(this.#endOverdue));
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get reason(): ConnectionError | undefined {
    return this.#reason;
  }

  get idleSinceMs(): number | undefined {
    return this.#idleSinceMs;
  }

  get counters(): ConnectionCounters {
    const { started, openCount: open, queuedCount: queued } = this.#table;
    const { pingsSent } = this.#watchdog;
    return { started, open, queued, bytesRead: this.#bytesRead, bytesWritten: this.#writer.position, pingsSent };
  }

  /** Says the first words. */
  greet(): void {
    const { streamWindowBytes, connectionWindowBytes } = this.#parts;
    this.#writer.preface();
    this.#watchdog.greeted();
    this.#writer.settings([
      [settingId.ENABLE_PUSH, 0],
      [settingId.INITIAL_WINDOW_SIZE, streamWindowBytes],
      [settingId.MAX_HEADER_LIST_SIZE, MOST_HEADER_BYTES],
    ]);
    // A window of the connection cannot be made smaller.
    const more = connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) this.#writer.windowUpdate(0, more);
    this.#writer.flush();
  }

  /** Takes what the socket brings; its bytes may be overwritten when this has returned. */
  read(bytes: Buffer, length: number): void {
    if (this.#status === "closed") return;
    this.#bytesRead += length;
    this.#watchdog.heard(this.#parts.clock.monotonicMs());
    this.#writer.hold();
    try {
      this.#reader.read(bytes, length);
    } catch (error) {
      this.#breakOff(protocolError(error));
    }
    this.#writer.release();
  }

  /** The socket has room again. */
  socketDrained(): void {
    this.#writer.drained();
    this.#sender.pump();
  }

  /** The socket is of no use any more. What the server said before counts for more than how it hung up. */
  socketLost(error: ConnectionError): void {
    this.destroy(this.#reason?.reason === "goaway" ? this.#reason : error);
  }

  unary(path: string, message: Uint8Array, options: CallOptions, onAnswer: OnAnswer): GrpcCall {
    const call = new UnaryCall(this, onAnswer);
    call.exchange = this.#begin(path, options, true, call);
    this.#sender.send(call.exchange, message, true);
    return call;
  }

  stream(path: string, options: StreamOptions, handlers: StreamHandlers): GrpcStream {
    const stream = new MessageStream(this, handlers, options.messages === "view");
    stream.exchange = this.#begin(path, options, false, stream);
    return stream;
  }

  ping(): Promise<number> {
    if (this.#status === "closed") return Promise.reject(this.#reason);
    this.#parts.socket.ref();
    return this.#watchdog.ask().finally(() => this.#restIfIdle());
  }

  close(): void {
    this.#drain(closedError());
    this.#endIfDrained();
  }

  destroy(reason: ConnectionError = closedError()): void {
    if (this.#status === "closed") return;
    this.#status = "closed";
    this.#reason = reason;
    this.#reader.stop();
    this.#writer.stop();
    this.#deadlines.stop();
    this.#pingAnswers.stop();
    this.#parts.socket.destroy();
    for (const exchange of this.#table.all()) {
      const neverExecuted = exchange.firstMessageEnd > this.#writer.flushedPosition;
      this.#end(exchange, unavailable(reason, neverExecuted), undefined);
    }
    this.#watchdog.stop(reason);
    isolated(() => this.#parts.onEnd(reason));
  }

  send(exchange: Exchange, message: Uint8Array, last: boolean): void {
    this.#sender.send(exchange, message, last);
  }

  sendEnd(exchange: Exchange): void {
    this.#sender.end(exchange);
  }

  cancel(exchange: Exchange): void {
    this.#end(exchange, undefined, errorCode.CANCEL);
  }

  fail(exchange: Exchange, failure: GrpcFailure): void {
    this.#end(exchange, failure, errorCode.CANCEL);
  }

  returnWindow(exchange: Exchange): void {
    this.#responses.returnWindow(exchange);
  }

  /** Opens an exchange, or queues it where the peer allows no more, or lets it fail in the next tick. */
  #begin(path: string, { metadata, timeoutMs }: CallOptions, unary: boolean, receiver: Receiver): Exchange {
    const head = this.#headers.head(path, metadata);
    const now = this.#parts.clock.monotonicMs();
    const limitMs = timeoutMs ?? Number.POSITIVE_INFINITY;
    const exchange = new Exchange(head, now + limitMs, unary, receiver);
    const refusal = this.#refusal(head, limitMs);
    if (refusal !== undefined) {
      nextTick(() => this.#end(exchange, refusal, undefined));
      return exchange;
    }
    if (this.#idleSinceMs !== undefined) {
      this.#idleSinceMs = undefined;
      this.#parts.socket.ref();
      this.#watchdog.begin(now);
    }
    if (limitMs !== Number.POSITIVE_INFINITY) this.#deadlines.watch(exchange.deadlineMs);
    if (this.#table.hasRoom) this.#open(exchange, limitMs);
    else this.#table.queue(exchange);
    return exchange;
  }

  #refusal({ listBytes }: RequestHead, limitMs: number): GrpcFailure | undefined {
    if (this.#status !== "open") return unavailable(this.#reason, true);
    if (limitMs <= 0) return grpcFailure(grpcStatus.DEADLINE_EXCEEDED, deadlinePassed, { neverExecuted: true });
    const most = this.#frames.peer.maxHeaderListBytes;
    if (listBytes <= most) return undefined;
    const message = `the headers of the request have more than the ${most} bytes that the server takes`;
    return grpcFailure(grpcStatus.RESOURCE_EXHAUSTED, message, { neverExecuted: true });
  }

  #open(exchange: Exchange, timeoutMs: number): void {
    this.#table.open(exchange);
    exchange.sendWindow = this.#frames.peer.initialWindowBytes;
    this.#budget.earn(reasons.streamOpened);
    this.#headers.write(this.#writer, exchange.id, exchange.head, timeoutMs);
    this.#sender.started(exchange);
    this.#watchdog.watch();
    if (this.#table.isExhausted) this.#exhausted();
  }

  /** A call whose time is over by now is not sent: no caller waits for it, and what it writes must not come later. */
  #openQueued(): void {
    const now = this.#parts.clock.monotonicMs();
    const late: Exchange[] = [];
    while (this.#table.hasRoom) {
      const exchange = this.#table.nextQueued();
      if (exchange === undefined) break;
      if (exchange.deadlineMs > now) this.#open(exchange, exchange.deadlineMs - now);
      else late.push(exchange);
    }
    for (const exchange of late) this.#outOfTime(exchange);
  }

  /** @param resetCode what is sent to the server, unless it knows that the stream is over */
  #end(exchange: Exchange, failure: GrpcFailure | undefined, resetCode: number | undefined): void {
    if (exchange.over) return;
    exchange.over = true;
    exchange.reader.stop();
    this.#sender.drop(exchange);
    this.#table.remove(exchange);
    if (this.#status !== "closed") {
      if (resetCode !== undefined && exchange.id !== 0) this.#writer.reset(exchange.id, resetCode);
      if (this.#table.queuedCount > 0) this.#openQueued();
      this.#restIfIdle();
    }
    exchange.receiver.over(failure, exchange.response.metadata);
    this.#endIfDrained();
  }

  #outOfTime(exchange: Exchange): void {
    // A message that was not whole cannot be executed: the rest of it will not be sent.
    const neverExecuted = exchange.firstMessageEnd === Number.POSITIVE_INFINITY;
    const details = { neverExecuted, answerBegun: exchange.dataBytes > 0 };
    this.#end(exchange, grpcFailure(grpcStatus.DEADLINE_EXCEEDED, deadlinePassed, details), errorCode.CANCEL);
  }

  /** An idle connection lets the process end. */
  #restIfIdle(): void {
    if (this.#status === "closed" || this.#table.count > 0 || this.#watchdog.isAsked) return;
    this.#idleSinceMs ??= this.#parts.clock.monotonicMs();
    this.#parts.socket.unref();
  }

  /** Lets no new call begin. Those that are queued never will where the server is the reason, or the ids are. */
  #drain(reason: ConnectionError): void {
    if (this.#status !== "open") return;
    this.#status = "draining";
    this.#reason = reason;
    isolated(() => this.#parts.onDraining(reason));
    if (reason.reason !== "closed") this.#refuse(this.#table.queued(), reason);
  }

  /** There is no id for those that are queued, also where they were to be let in before the end. */
  #exhausted(): void {
    const reason = exhaustedError();
    this.#drain(reason);
    this.#refuse(this.#table.queued(), reason);
  }

  #endIfDrained(): void {
    if (this.#status !== "draining" || this.#table.count > 0) return;
    this.#writer.goaway(errorCode.NO_ERROR);
    this.#writer.flush();
    this.destroy(this.#reason);
  }

  #goaway(lastId: number, reason: ConnectionError): void {
    this.#drain(reason);
    this.#reason = reason;
    this.#refuse([...this.#table.queued(), ...this.#table.above(lastId)], reason);
    this.#endIfDrained();
  }

  /** The server provably did not and will not look at them. */
  #refuse(exchanges: Exchange[], reason: ConnectionError): void {
    for (const exchange of exchanges) this.#end(exchange, unavailable(reason, true), undefined);
  }

  /** The peer breaks a rule, and hears which kind, if it still listens. */
  #breakOff(error: ConnectionError): void {
    if (this.#status === "closed") return;
    this.#writer.goaway(error.http2Code ?? errorCode.PROTOCOL_ERROR);
    this.#writer.flush();
    this.destroy(error);
  }

  readonly #endOverdue = () => {
    if (this.#status === "closed") return;
    const now = this.#parts.clock.monotonicMs();
    for (const exchange of this.#table.all()) {
      if (exchange.deadlineMs > now) {
        if (!exchange.over) this.#deadlines.watch(exchange.deadlineMs);
        continue;
      }
      this.#outOfTime(exchange);
    }
  };
}

function unavailable(reason: ConnectionError | undefined, neverExecuted: boolean): GrpcFailure {
  const message = reason?.message ?? "there is no connection";
  return grpcFailure(grpcStatus.UNAVAILABLE, message, { neverExecuted, cause: reason });
}

/** What the owner's callback throws is not ours to handle. */
function isolated(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    rethrow(error);
  }
}
