import { type ServiceError, status } from "@grpc/grpc-js";
import { ProtocolError } from "../errors/protocol-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { clearTimeout, setTimeout } from "../internal/real-time.ts";
import { withoutStackTrace } from "../internal/without-stack-trace.ts";
import type { Token } from "./authenticator.ts";
import { callMetadata } from "./call-metadata.ts";
import type { CallScope } from "./call-scope.ts";
import type { EndpointChannel } from "./channel.ts";
import type { CallKind } from "./rpc-options.ts";
import { asBytes, type WireCall } from "./wire-call.ts";

export interface Attempt {
  readonly channel: EndpointChannel;
  readonly kind: CallKind;
  readonly limitMs: number;
  readonly token: Token | undefined;
}

/** As gRPC's own. */
function deadlineExceeded(): Error {
  const details = "Deadline exceeded";
  return Object.assign(new Error(details), { code: status.DEADLINE_EXCEEDED, details });
}

/** Sends a call over one connection, once. Rejects with gRPC's own error, or with an EtcdError where there is none. */
export function attempt<Response>(
  scope: CallScope,
  { path, decode }: WireCall<Response>,
  request: Buffer,
  { channel, kind, limitMs, token }: Attempt,
): Promise<Response> {
  return scope.wait<Response>((resolve, reject) => {
    // Since it was connected others may have given it up: nothing leaves on it any more.
    if (channel.closed) {
      reject(new UnavailableError("the connection was closed before the call was sent", { retryable: true }));
      return undefined;
    }
    const onAnswer = (error: ServiceError | null, answer?: Buffer) => {
      clearTimeout(timer);
      if (error) {
        reject(error);
        return;
      }
      channel.heard();
      try {
        resolve(decode(answer as Buffer));
      } catch (cause) {
        const problem = cause instanceof Error ? cause.message : String(cause);
        const outcomeUnknown = kind !== "read";
        reject(new ProtocolError(`the answer could not be read: ${problem}`, { cause, outcomeUnknown }));
      }
    };
    // biome-ignore lint/style/noRestrictedGlobals: grpc-js compares it with the same clock, faked or not.
    const deadline = Date.now() + limitMs;
    const metadata = callMetadata(path, token);
    // grpc-js notes where each call was made, for its own errors, at a twentieth of what a call costs. Ours have traces of their own.
    const sent = withoutStackTrace(() =>
      channel.client.makeUnaryRequest(path, asBytes, asBytes, request, metadata, { deadline }, onAnswer),
    );
    // grpc-js waits for its deadline with timers that a test may have replaced by fake ones.
    const timer = limitMs < Number.POSITIVE_INFINITY ? setTimeout(outOfTime, limitMs) : undefined;
    function outOfTime(): void {
      reject(deadlineExceeded());
      sent.cancel();
    }
    return () => {
      clearTimeout(timer);
      sent.cancel();
    };
  });
}
