import type { GrpcFailure } from "./grpc-failure.ts";
import { MessageReader, type MessageSink } from "./message-reader.ts";
import type { Metadata } from "./metadata.ts";
import type { RequestHead } from "./request-headers.ts";
import { Response } from "./response.ts";

/** Whom an exchange belongs to. */
export interface Receiver extends MessageSink {
  /** Called once, unless the owner cancelled. */
  over(failure: GrpcFailure | undefined, metadata: Metadata | undefined): void;
  /** All that was to be sent has left, after a time in which it had not. */
  drained(): void;
}

/** What a call or a stream asks of the connection. */
export interface ExchangePort {
  send(exchange: Exchange, message: Uint8Array, last: boolean): void;
  sendEnd(exchange: Exchange): void;
  cancel(exchange: Exchange): void;
  /** Ends it because of its response. */
  fail(exchange: Exchange, failure: GrpcFailure): void;
  /** Its reader goes on: the peer gets its window back. */
  returnWindow(exchange: Exchange): void;
}

/** A message, or the end after one, that the windows or the socket have no room for yet. */
export interface Unsent {
  readonly message: Uint8Array | undefined;
  /** How much of it has left, its prefix of gRPC included. */
  sentBytes: number;
  /** Nothing follows it. */
  last: boolean;
}

/**
 * One request and its response: a stream of HTTP/2 (RFC 9113, section 5.1), as far as a client sees it.
 *
 * ```
 *   queued ──id and HEADERS──▶ open ──last DATA of ours──▶ half closed ──the response is whole──▶ over
 *     │                         └── reset, cancel, deadline, response whole, connection gone ───────▲
 *     └──────────────────────────── cancel, deadline, connection gone ──────────────────────────────┘
 * ```
 */
export class Exchange {
  readonly head: RequestHead;
  /** By the connection's clock; infinite for none. */
  readonly deadlineMs: number;
  readonly unary: boolean;
  readonly receiver: Receiver;
  readonly response = new Response();
  readonly reader: MessageReader;
  /** 0 as long as it is queued. */
  id = 0;
  over = false;

  /** What the peer's window has room for. Less than none after the peer made its windows smaller. */
  sendWindow = 0;
  unsent: Unsent[] | undefined;
  unsentBytes = 0;
  /** The end of the request is sent, or stands in `unsent`. */
  ended = false;
  /** Where the first whole message ends in all that the connection has written; infinite until it is written. */
  firstMessageEnd = Number.POSITIVE_INFINITY;

  /** What of our window the peer has used and did not get back. */
  usedWindow = 0;
  paused = false;
  dataBytes = 0;

  constructor(head: RequestHead, deadlineMs: number, unary: boolean, receiver: Receiver) {
    this.head = head;
    this.deadlineMs = deadlineMs;
    this.unary = unary;
    this.receiver = receiver;
    this.reader = new MessageReader(receiver);
  }
}
