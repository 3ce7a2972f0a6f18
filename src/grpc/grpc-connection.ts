import type { ConnectionError } from "./connection-error.ts";
import type { GrpcFailure } from "./grpc-failure.ts";
import type { Metadata } from "./metadata.ts";

/** `open` takes calls; `draining` finishes those that are open; `closed` has none. */
export type ConnectionStatus = "open" | "draining" | "closed";

export interface CallOptions {
  /** Sent with the request. Give the same array again where the fields are the same, see `Metadata`. */
  readonly metadata?: Metadata | undefined;
  /**
   * The time for the whole call: it then fails with DEADLINE_EXCEEDED. The server gets it too (`grpc-timeout`).
   *
   * @default none
   */
  readonly timeoutMs?: number | undefined;
}

export interface StreamOptions extends CallOptions {
  /**
   * `copy`: a message is the receiver's to keep. `view`: its bytes may be overwritten as soon as the callback returns,
   * for it is a view of the socket's buffer, or put together in one that is used again. @default "copy"
   */
  readonly messages?: "copy" | "view" | undefined;
}

/**
 * Says how a unary call ended, once. Called from the loop that reads the socket, so its work delays every other call
 * of the connection; what it throws is thrown again outside of the loop, as an uncaught exception. Never called before
 * `unary()` has returned.
 *
 * @param metadata what the headers and trailers of the answer said beside gRPC's own fields
 */
export type OnAnswer = (
  failure: GrpcFailure | undefined,
  message: Buffer | undefined,
  metadata: Metadata | undefined,
) => void;

/** A call that was begun. */
export interface GrpcCall {
  /** Ends it; its callback or its handlers are not called any more. Of no effect on a call that is over. */
  cancel(): void;
}

export interface StreamHandlers {
  /** One message of the server. What holds for `OnAnswer` holds here. */
  onMessage(message: Buffer): void;
  /** The stream is over: the server has ended it, with OK when `failure` is undefined. Called once; nothing follows. */
  onEnd(failure: GrpcFailure | undefined, metadata: Metadata | undefined): void;
  /** What was written has left, after a `write()` that returned false. */
  onDrain?(): void;
}

/** A stream of messages both ways. */
export interface GrpcStream extends GrpcCall {
  /** Bytes of messages that have not left: the server's windows or the socket are full, or the stream is queued. */
  readonly bufferedBytes: number;
  /**
   * Sends a message; its bytes must stay as they are until it has left. It is never dropped, so false is advice: wait
   * for `onDrain` before the next one. On a stream that is over it does nothing and returns false.
   *
   * @throws TypeError after `end()`
   */
  write(message: Uint8Array): boolean;
  /** Says that no message follows. The server may go on. */
  end(): void;
  /** Gives no more window back, so that the server stops after at most a window; what it has sent still comes. */
  pause(): void;
  resume(): void;
}

export interface ConnectionCounters {
  /** Calls and streams that have begun on the wire. */
  readonly started: number;
  readonly open: number;
  /** Those that wait for the server to allow more at the same time (MAX_CONCURRENT_STREAMS). */
  readonly queued: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly pingsSent: number;
}

/**
 * One connection to one server. It never connects anew. While a call or a stream is open it keeps the process alive; an
 * idle one does not.
 *
 * ```
 *           GOAWAY, close(), ids used up            last call over
 *   open ───────────────────────────────▶ draining ───────────────▶ closed
 *     └───── socket gone, silent, protocol broken, destroy() ──────────▲
 * ```
 */
export interface GrpcConnection {
  readonly status: ConnectionStatus;
  /** Why it is draining or closed. */
  readonly reason: ConnectionError | undefined;
  /** Since when no call has been open, by the clock's monotonic time; undefined while one is. */
  readonly idleSinceMs: number | undefined;
  readonly counters: ConnectionCounters;

  /**
   * Sends one message and calls back with the one that answers it.
   *
   * On a connection that is not `open` it fails soon, with `neverExecuted`. When the server allows no more streams at
   * the same time it is queued, within its time.
   *
   * @param path `/package.Service/Method`
   * @param message its bytes must stay as they are until the call is over
   * @throws TypeError for a path or metadata that cannot be sent
   */
  unary(path: string, message: Uint8Array, options: CallOptions, onAnswer: OnAnswer): GrpcCall;

  /** Opens a stream. What holds for `unary()` holds here. */
  stream(path: string, options: StreamOptions, handlers: StreamHandlers): GrpcStream;

  /**
   * Asks for a sign of life at once. Resolves with the round trip in milliseconds; rejects with the ConnectionError
   * when the connection ends first, as it does (`silent`) when nothing is heard. Calls at the same time share one
   * question. It is a PING where one is due, else an empty SETTINGS, which must be acknowledged likewise.
   */
  ping(): Promise<number>;

  /** Lets no new call begin, and ends when the last is over. Idempotent. */
  close(): void;

  /** Ends it now. Open calls fail with UNAVAILABLE and the reason. Idempotent. */
  destroy(reason?: ConnectionError): void;
}
