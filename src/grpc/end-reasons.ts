import { ConnectionError } from "./connection-error.ts";
import { HpackError } from "./hpack/hpack-error.ts";
import { PeerError } from "./http2/peer-error.ts";
import { errorCode, errorName } from "./http2/protocol.ts";

export function goawayError(code: number, words: string): ConnectionError {
  const why = words === "" ? errorName(code) : `${errorName(code)}: ${words}`;
  return new ConnectionError("goaway", `the server is going away (${why})`, { http2Code: code });
}

export function exhaustedError(): ConnectionError {
  return new ConnectionError("exhausted", "the connection has used all of its stream ids");
}

export function silentError(): ConnectionError {
  return new ConnectionError("silent", "the server gave no sign of life in time");
}

export function closedError(): ConnectionError {
  return new ConnectionError("closed", "the connection was closed by its owner");
}

export function hungUpError(): ConnectionError {
  return new ConnectionError("reset", "the server closed the connection");
}

/**
 * What reading a frame has thrown: the peer broke a rule, or we have a bug, which must not cost more than a connection.
 */
export function protocolError(cause: unknown): ConnectionError {
  const { message } = cause as Error;
  if (cause instanceof PeerError) {
    return new ConnectionError("protocol", `the server broke HTTP/2: ${message}`, { http2Code: cause.http2Code });
  }
  if (cause instanceof HpackError) {
    const http2Code = errorCode.COMPRESSION_ERROR;
    return new ConnectionError("protocol", `the server broke HPACK: ${message}`, { http2Code });
  }
  const http2Code = errorCode.INTERNAL_ERROR;
  return new ConnectionError("protocol", `a frame could not be read: ${message}`, { http2Code, cause });
}
