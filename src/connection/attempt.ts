import { ProtocolError } from "../errors/protocol-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import type { Token } from "./auth/authenticator.ts";
import { callMetadata } from "./auth/call-metadata.ts";
import type { CallScope } from "./call-scope.ts";
import type { WireCall } from "./codec/wire-call.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import type { CallKind } from "./rpc-options.ts";

export interface Attempt {
  readonly channel: EndpointChannel;
  readonly kind: CallKind;
  readonly limitMs: number;
  readonly token: Token | undefined;
}

/** Sends a call over one connection, once. Rejects with a GrpcFailure, or with an EtcdError where there is none. */
export function attempt<Response>(
  scope: CallScope,
  { path, ofMember, decode }: WireCall<Response>,
  request: Buffer,
  { channel, kind, limitMs, token }: Attempt,
): Promise<Response> {
  return scope.wait<Response>((resolve, reject) => {
    // Since it was connected others may have given it up: nothing leaves on it any more.
    if (channel.closed) {
      reject(closedBefore());
      return undefined;
    }
    const timeoutMs = limitMs === Number.POSITIVE_INFINITY ? undefined : limitMs;
    const options = { metadata: callMetadata(token, ofMember), timeoutMs };
    return channel.grpc.unary(path, request, options, (failure, answer) => {
      if (failure) {
        reject(failure);
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
    });
  });
}

/** It left nowhere. */
export function closedBefore(): UnavailableError {
  return new UnavailableError("the connection was closed before the call was sent", { retryable: true });
}
