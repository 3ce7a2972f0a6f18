import { queueMicrotask } from "../internal/real-time.ts";
import type { Exchange, Unsent } from "./exchange.ts";
import { type FrameBudget, reasons } from "./http2/frame-budget.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";
import { PeerError } from "./http2/peer-error.ts";
import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  errorCode,
  frameFlag,
  frameType,
  LARGEST_WINDOW_BYTES,
} from "./http2/protocol.ts";
import { PREFIX_BYTES } from "./message-reader.ts";

/** Larger frames save little, and one that is being written holds the others up. */
const MOST_FRAME_BYTES = 2 * DEFAULT_MAX_FRAME_BYTES;

/**
 * Sends messages as far as the peer's windows (RFC 9113, section 5.2) and the socket have room for them. The rest
 * waits, and then a frame of each stream in turn: a large message does not hold the others up.
 */
export class Sender {
  readonly #writer: FrameWriter;
  readonly #budget: FrameBudget;
  /** What the peer's window of the connection has room for. */
  #window = DEFAULT_WINDOW_BYTES;
  #maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  readonly #waiting = new Set<Exchange>();
  #pumping = false;

  constructor(writer: FrameWriter, budget: FrameBudget) {
    this.#writer = writer;
    this.#budget = budget;
  }

  /** @param last nothing follows it */
  send(exchange: Exchange, message: Uint8Array, last: boolean): void {
    if (last) exchange.ended = true;
    const length = PREFIX_BYTES + message.length;
    if (
      exchange.id !== 0 &&
      exchange.unsent === undefined &&
      length <= this.#maxFrameBytes &&
      length <= this.#window &&
      length <= exchange.sendWindow &&
      !this.#writer.congested
    ) {
      this.#frame(exchange, message, 0, length, last);
      this.#messageLeft(exchange);
      return;
    }
    this.#wait(exchange, { message, sentBytes: 0, last }, length);
  }

  /** Ends the request after what was sent. */
  end(exchange: Exchange): void {
    exchange.ended = true;
    const behind = exchange.unsent?.at(-1);
    if (behind !== undefined) behind.last = true;
    else if (exchange.id === 0) this.#wait(exchange, { message: undefined, sentBytes: 0, last: true }, 0);
    else this.#writer.begin(0, frameType.DATA, frameFlag.END_STREAM, exchange.id);
  }

  /** The exchange was given its id: what was sent on it before may leave. */
  started(exchange: Exchange): void {
    if (exchange.unsent === undefined) return;
    this.#waiting.add(exchange);
    this.pump();
  }

  /** Nothing more of it is sent. */
  drop(exchange: Exchange): void {
    if (exchange.unsent === undefined) return;
    exchange.unsent = undefined;
    exchange.unsentBytes = 0;
    this.#waiting.delete(exchange);
  }

  /** @throws PeerError for a window above the largest there is */
  credit(bytes: number): void {
    this.#window += bytes;
    if (this.#window > LARGEST_WINDOW_BYTES) {
      throw new PeerError(errorCode.FLOW_CONTROL_ERROR, "a window of the connection above 2^31-1");
    }
    this.pump();
  }

  /** @returns whether its window is within the largest there is */
  creditStream(exchange: Exchange, bytes: number): boolean {
    exchange.sendWindow += bytes;
    if (exchange.sendWindow > LARGEST_WINDOW_BYTES) return false;
    if (exchange.unsent !== undefined) this.pump();
    return true;
  }

  /** @param bytes the peer's SETTINGS_MAX_FRAME_SIZE */
  limitFrames(bytes: number): void {
    this.#maxFrameBytes = Math.min(bytes, MOST_FRAME_BYTES);
  }

  /** Sends what there is room for. */
  pump(): void {
    // A receiver that learns of it may send at once.
    if (this.#pumping) return;
    this.#pumping = true;
    let progress = true;
    while (progress) {
      progress = false;
      for (const exchange of this.#waiting) {
        if (this.#writer.congested) break;
        if (this.#sendPart(exchange)) progress = true;
      }
      if (this.#writer.congested) break;
    }
    this.#pumping = false;
  }

  #wait(exchange: Exchange, unsent: Unsent, bytes: number): void {
    exchange.unsent ??= [];
    exchange.unsent.push(unsent);
    exchange.unsentBytes += bytes;
    if (exchange.id === 0) return;
    this.#waiting.add(exchange);
    this.pump();
  }

  /** One frame of it. Returns whether there was room for any. */
  #sendPart(exchange: Exchange): boolean {
    const unsent = exchange.unsent?.[0];
    if (unsent === undefined) return false;
    const { message, sentBytes, last } = unsent;
    const whole = message === undefined ? 0 : PREFIX_BYTES + message.length;
    const length = Math.min(whole - sentBytes, this.#maxFrameBytes, this.#window, exchange.sendWindow);
    if (length <= 0 && whole > 0) return false;
    const isEnd = sentBytes + length === whole;
    if (message === undefined) this.#writer.begin(0, frameType.DATA, frameFlag.END_STREAM, exchange.id);
    else this.#frame(exchange, message, sentBytes, length, last && isEnd);
    unsent.sentBytes += length;
    exchange.unsentBytes -= length;
    if (!isEnd) return true;
    if (message !== undefined) this.#messageLeft(exchange);
    exchange.unsent?.shift();
    if (exchange.unsent?.length === 0) {
      exchange.unsent = undefined;
      this.#waiting.delete(exchange);
      queueMicrotask(() => exchange.receiver.drained());
    }
    return true;
  }

  /** DATA with a part of a message, its prefix included. */
  #frame(exchange: Exchange, message: Uint8Array, from: number, length: number, last: boolean): void {
    this.#window -= length;
    exchange.sendWindow -= length;
    this.#budget.earn(reasons.dataSent);
    const writer = this.#writer;
    let at = writer.begin(length, frameType.DATA, last ? frameFlag.END_STREAM : 0, exchange.id);
    const { slab } = writer;
    let position = from;
    const end = from + length;
    for (; position < PREFIX_BYTES && position < end; position++) {
      slab[at++] = position === 0 ? 0 : message.length >>> (8 * (PREFIX_BYTES - 1 - position));
    }
    if (position >= end) return;
    const whole = position === PREFIX_BYTES && end === PREFIX_BYTES + message.length;
    slab.set(whole ? message : message.subarray(position - PREFIX_BYTES, end - PREFIX_BYTES), at);
  }

  #messageLeft(exchange: Exchange): void {
    if (exchange.firstMessageEnd === Number.POSITIVE_INFINITY) exchange.firstMessageEnd = this.#writer.position;
  }
}
