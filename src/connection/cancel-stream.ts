import type { ClientDuplexStream } from "@grpc/grpc-js";
import { setImmediate } from "../internal/real-time.ts";

/**
 * Ends a stream from our side; nothing that still comes of it matters. Not in this turn of the event loop: a call of grpc-js
 * that is cancelled while it is being started is started all the same, and stays open for ever, unseen, so that the
 * connection keeps the process alive (seen with 1.14.7).
 */
export function cancelStream<Request, Response>(duplex: ClientDuplexStream<Request, Response>): void {
  duplex.on("error", () => {});
  setImmediate(() => duplex.cancel());
}
