import { ConnectionError } from "./connection-error.ts";

/** How far the connection was: `securing` is the handshake of TLS, `greeting` the wait for SETTINGS. */
export type Phase = "connecting" | "securing" | "greeting" | "up";

/** What Node reports, in words that say what to look at. Its own words stand in `cause`. */
export function explainSocketError(cause: Error, phase: Phase, secure: boolean): ConnectionError {
  const { code = "", syscall } = cause as NodeJS.ErrnoException;
  const message = messageOf(cause);
  if (syscall === "getaddrinfo")
    return new ConnectionError("unresolved", `the name has no address (${message})`, { cause });
  // What is not of the system is of OpenSSL, or of the check of the certificate.
  const isTls = secure && phase !== "connecting" && syscall === undefined && code !== "ECONNRESET";
  if (isTls) return explainTls(cause, code, message);
  if (phase === "connecting") {
    return new ConnectionError("refused", `no connection (${message})`, { cause });
  }
  if (phase === "securing") {
    return new ConnectionError("tls", `the server hung up during the TLS handshake: does it speak TLS? (${message})`, {
      cause,
    });
  }
  return new ConnectionError("reset", `the connection broke (${message})`, { cause });
}

function explainTls(cause: Error, code: string, message: string): ConnectionError {
  const text = `${code} ${message}`;
  if (/wrong.version.number|packet.length.too.long|http.request|unknown.protocol|unexpected.message/i.test(text)) {
    return new ConnectionError("tls", `the server does not speak TLS (${message})`, { cause });
  }
  if (/alert number 120|no.application.protocol/i.test(text)) {
    return new ConnectionError("not-http2", "the server has no HTTP/2: it refused h2 in the TLS handshake (ALPN)", {
      cause,
    });
  }
  return new ConnectionError("tls", `the TLS handshake failed: ${message}`, { cause });
}

/** Several addresses were tried, each with an error of its own. */
function messageOf(cause: Error): string {
  if (!(cause instanceof AggregateError)) return cause.message;
  return cause.errors.map((error: Error) => error.message).join("; ");
}
