import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { clearTimeout, setTimeout } from "../../internal/real-time.ts";
import type { EndpointUrl } from "./endpoint-url.ts";

const LIMIT_MS = 500;
/** How a client of HTTP/2 begins (RFC 9113, 3.4): the preface and empty settings. */
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");

/**
 * Whether the server speaks the other scheme: plain where the URL says https, or TLS where it says http. A handshake
 * that fails does not show it: the server just hangs up, as one does that is being stopped.
 */
export function speaksOtherScheme({ target, secure }: EndpointUrl, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    // Nothing is sent over it, so it need not be trusted.
    const socket: Socket = secure ? connectPlain(target) : connectTls({ ...target, rejectUnauthorized: false });
    const settle = (answer: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      socket.destroy();
      resolve(answer);
    };
    const giveUp = () => settle(false);
    const timer = setTimeout(giveUp, LIMIT_MS);
    signal.addEventListener("abort", giveUp, { once: true });
    socket.on("error", giveUp);
    socket.on("close", giveUp);
    if (signal.aborted) giveUp();
    else if (secure) {
      socket.on("connect", () => socket.write(http2Preface));
      socket.on("data", (bytes: Buffer) => settle(bytes[3] === 4 || bytes.subarray(0, 5).toString() === "HTTP/"));
    } else socket.on("secureConnect", () => settle(true));
  });
}
