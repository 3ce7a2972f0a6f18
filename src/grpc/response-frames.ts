import type { Exchange } from "./exchange.ts";
import type { ExchangeTable } from "./exchange-table.ts";
import { type GrpcFailure, grpcFailure } from "./grpc-failure.ts";
import { HpackDecoder } from "./hpack/hpack-decoder.ts";
import type { FrameBudget } from "./http2/frame-budget.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";
import { HeaderBlock, MOST_HEADER_BYTES } from "./http2/header-block.ts";
import { PeerError } from "./http2/peer-error.ts";
import { errorCode, errorName, frameFlag } from "./http2/protocol.ts";
import { windowToReturn } from "./receive-window.ts";
import { statusOfReset } from "./reset-status.ts";
import { grpcStatus } from "./status.ts";

export interface ResponseFramesParts {
  readonly table: ExchangeTable;
  readonly writer: FrameWriter;
  readonly budget: FrameBudget;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxMessageBytes: number;
  /** @param resetCode what is to be sent to the server, unless it knows that the stream is over */
  end(exchange: Exchange, failure: GrpcFailure | undefined, resetCode: number | undefined): void;
}

/** A block is a few bytes or some kilobytes, then five bytes of a priority that no one uses any more. */
const PRIORITY_BYTES = 5;

/**
 * Takes the frames of streams: HEADERS, CONTINUATION, DATA and RST_STREAM (RFC 9113, sections 6.1 to 6.4, 6.10). Those
 * of a stream that is over may still be on their way: they count for the window and the header table, and mean nothing.
 */
export class ResponseFrames {
  readonly #parts: ResponseFramesParts;
  readonly #decoder = new HpackDecoder(MOST_HEADER_BYTES);
  #block: HeaderBlock | undefined;
  /** Of the window of the connection. */
  #used = 0;

  constructor(parts: ResponseFramesParts) {
    this.#parts = parts;
  }

  /** Between HEADERS and the last CONTINUATION no other frame may come. */
  get inHeaders(): boolean {
    return this.#block !== undefined;
  }

  data(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const { table, budget, maxMessageBytes } = this.#parts;
    table.check(streamId);
    this.#takeWindow(end - start);
    const exchange = table.get(streamId);
    const ends = (flags & frameFlag.END_STREAM) !== 0;
    let [from, to] = [start, end];
    if ((flags & frameFlag.PADDED) !== 0) [from, to] = withoutPadding(bytes, start, end);
    if (from === to && !ends) budget.spend();
    if (exchange === undefined) return;
    const { response } = exchange;
    if (!response.begun) {
      this.#malformed(exchange, "DATA before HEADERS");
      return;
    }
    exchange.dataBytes += to - from;
    if (response.contentLength >= 0 && exchange.dataBytes > response.contentLength) {
      this.#malformed(exchange, "more data than content-length says");
      return;
    }
    this.#takeStreamWindow(exchange, end - start, ends);
    const problem = exchange.reader.read(bytes, from, to, maxMessageBytes);
    // A message may have made its receiver end the exchange, or the connection.
    if (exchange.over) return;
    if (problem !== undefined) {
      this.#unwanted(exchange, problem);
      return;
    }
    if (ends) this.#finish(exchange);
  }

  headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#parts.table.check(streamId);
    let [from, to] = [start, end];
    if ((flags & frameFlag.PADDED) !== 0) [from, to] = withoutPadding(bytes, start, end);
    if ((flags & frameFlag.PRIORITY) !== 0) {
      from += PRIORITY_BYTES;
      if (from > to) throw new PeerError(errorCode.FRAME_SIZE_ERROR, "HEADERS too short for their priority");
    }
    const ends = (flags & frameFlag.END_STREAM) !== 0;
    if ((flags & frameFlag.END_HEADERS) !== 0) {
      this.#headerBlock(streamId, ends, bytes, from, to);
      return;
    }
    this.#block = new HeaderBlock(streamId, ends);
    this.#block.add(bytes, from, to);
  }

  continuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block?.streamId !== streamId)
      throw new PeerError(errorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS before it");
    block.add(bytes, start, end);
    if ((flags & frameFlag.END_HEADERS) === 0) return;
    this.#block = undefined;
    const whole = block.whole();
    this.#headerBlock(streamId, block.endsStream, whole, 0, whole.length);
  }

  reset(streamId: number, bytes: Buffer, start: number, end: number): void {
    const { table, budget } = this.#parts;
    table.check(streamId);
    if (end - start !== 4) throw new PeerError(errorCode.FRAME_SIZE_ERROR, `RST_STREAM of ${end - start} bytes`);
    const exchange = table.get(streamId);
    if (exchange === undefined) {
      budget.spend();
      return;
    }
    const code = bytes.readUInt32BE(start);
    const neverExecuted = code === errorCode.REFUSED_STREAM;
    const message = `the server reset the stream (${errorName(code)})`;
    this.#parts.end(exchange, grpcFailure(statusOfReset(code), message, { neverExecuted }), undefined);
  }

  #headerBlock(streamId: number, ends: boolean, bytes: Buffer, start: number, end: number): void {
    const { table, budget } = this.#parts;
    const exchange = table.get(streamId);
    const fits = this.#decoder.decode(bytes, start, end, exchange?.response);
    if (exchange === undefined) {
      budget.spend();
      return;
    }
    const { response } = exchange;
    if (!fits) {
      const failure = grpcFailure(
        grpcStatus.RESOURCE_EXHAUSTED,
        `the answer has more than ${MOST_HEADER_BYTES} bytes of headers`,
      );
      this.#parts.end(exchange, failure, errorCode.CANCEL);
      return;
    }
    const problem = response.blockEnd(ends);
    if (problem !== undefined) {
      this.#malformed(exchange, problem);
      return;
    }
    if (ends) {
      this.#finish(exchange);
      return;
    }
    if (!response.begun) {
      budget.spend();
      return;
    }
    // Not a gRPC server: what comes now is a page, and no one reads it.
    if (!response.isGrpc) this.#parts.end(exchange, response.notGrpc(), errorCode.CANCEL);
  }

  /** The response is whole. A server that has said all need not wait for the rest of the request. */
  #finish(exchange: Exchange): void {
    const { response } = exchange;
    if (response.contentLength >= 0 && exchange.dataBytes !== response.contentLength) {
      this.#malformed(exchange, "less data than content-length says");
      return;
    }
    let failure = response.outcome();
    if (failure === undefined && exchange.reader.partial) {
      failure = grpcFailure(grpcStatus.INTERNAL, "the server ended in the midst of a message");
    }
    const whole = exchange.ended && exchange.unsent === undefined;
    this.#parts.end(exchange, failure, whole ? undefined : errorCode.CANCEL);
  }

  #malformed(exchange: Exchange, problem: string): void {
    const failure = grpcFailure(grpcStatus.INTERNAL, `the answer is malformed: ${problem}`);
    this.#parts.end(exchange, failure, errorCode.PROTOCOL_ERROR);
  }

  #unwanted(exchange: Exchange, problem: "compressed" | "too large"): void {
    const failure =
      problem === "compressed"
        ? grpcFailure(grpcStatus.INTERNAL, "the server sent a compressed message, which was not asked for")
        : grpcFailure(grpcStatus.RESOURCE_EXHAUSTED, `a message larger than ${this.#parts.maxMessageBytes} bytes`);
    this.#parts.end(exchange, failure, errorCode.CANCEL);
  }

  #takeWindow(bytes: number): void {
    const { writer, connectionWindowBytes } = this.#parts;
    this.#used += bytes;
    const back = windowToReturn(this.#used, connectionWindowBytes);
    if (back === 0) return;
    this.#used = 0;
    writer.windowUpdate(0, back);
  }

  #takeStreamWindow(exchange: Exchange, bytes: number, ends: boolean): void {
    exchange.usedWindow += bytes;
    if (!ends) this.returnWindow(exchange);
  }

  /** Gives the peer's window of a stream back, unless its reader paused it. */
  returnWindow(exchange: Exchange): void {
    const { writer, streamWindowBytes } = this.#parts;
    const back = windowToReturn(exchange.usedWindow, streamWindowBytes);
    if (back === 0 || exchange.paused) return;
    exchange.usedWindow = 0;
    writer.windowUpdate(exchange.id, back);
  }
}

/** @throws PeerError for more padding than there is frame */
function withoutPadding(bytes: Buffer, start: number, end: number): [from: number, to: number] {
  const padding = start < end ? (bytes[start] as number) : 0;
  if (start + 1 + padding > end)
    throw new PeerError(errorCode.PROTOCOL_ERROR, "more padding than the frame has room for");
  return [start + 1, end - padding];
}
