import { ProtocolError } from "../errors/protocol-error.ts";
import type { Attempt } from "./attempt.ts";
import { closedBefore } from "./attempt.ts";
import { callMetadata } from "./auth/call-metadata.ts";
import type { CallScope } from "./call-scope.ts";
import type { WireCall } from "./codec/wire-call.ts";

/** Takes the messages of an answer that comes in parts, in their order, one at a time. It must not reject. */
export type PartSink<Part> = (part: Part) => Promise<void>;

/**
 * Sends a call whose answer comes in parts, once, and resolves when the last of them is taken. The server is held up
 * while the sink is busy: at most a window of the stream waits here. Rejects as `attempt()` does.
 */
export function attemptStream<Part>(
  scope: CallScope,
  { path, ofMember, decode }: WireCall<Part>,
  request: Buffer,
  { channel, limitMs, token }: Attempt,
  sink: PartSink<Part>,
): Promise<void> {
  return scope.wait<void>((resolve, reject) => {
    if (channel.closed) {
      reject(closedBefore());
      return undefined;
    }
    const timeoutMs = limitMs === Number.POSITIVE_INFINITY ? undefined : limitMs;
    let taken = Promise.resolve();
    let waiting = 0;
    let over = false;
    const settle = (how: () => void) => {
      over = true;
      how();
    };
    const fail = (cause: unknown) => {
      const problem = cause instanceof Error ? cause.message : String(cause);
      stream.cancel();
      settle(() => reject(new ProtocolError(`the answer could not be read: ${problem}`, { cause })));
    };
    const take = async (part: Part) => {
      // What came before a failure, and was not taken by then, is of no use.
      if (over) return;
      await sink(part);
      if (--waiting === 0) stream.resume();
    };
    const options = { metadata: callMetadata(token, ofMember), timeoutMs, messages: "view" } as const;
    const stream = channel.grpc.stream(path, options, {
      onMessage(bytes) {
        channel.heard();
        let part: Part;
        try {
          part = decode(bytes);
        } catch (cause) {
          fail(cause);
          return;
        }
        if (waiting++ === 0) stream.pause();
        taken = taken.then(() => take(part));
        taken.catch(fail);
      },
      onEnd: (failure) => (failure ? settle(() => reject(failure)) : taken.then(resolve)),
    });
    stream.write(request);
    stream.end();
    return { cancel: () => settle(() => stream.cancel()) };
  });
}
