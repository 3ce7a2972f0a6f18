import type { ConnectionFrames } from "./connection-frames.ts";
import type { FrameBudget } from "./http2/frame-budget.ts";
import type { FrameHandler } from "./http2/frame-reader.ts";
import { PeerError } from "./http2/peer-error.ts";
import { errorCode, frameType } from "./http2/protocol.ts";
import type { ResponseFrames } from "./response-frames.ts";

const PRIORITY_BYTES = 5;

/** Hands each frame to whom it concerns. */
export class FrameDispatch implements FrameHandler {
  readonly #responses: ResponseFrames;
  readonly #connection: ConnectionFrames;
  readonly #budget: FrameBudget;

  constructor(responses: ResponseFrames, connection: ConnectionFrames, budget: FrameBudget) {
    this.#responses = responses;
    this.#connection = connection;
    this.#budget = budget;
  }

  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (this.#responses.inHeaders && type !== frameType.CONTINUATION) {
      throw new PeerError(errorCode.PROTOCOL_ERROR, "a header block that is interrupted by another frame");
    }
    switch (type) {
      case frameType.DATA:
        this.#responses.data(flags, streamId, bytes, start, end);
        break;
      case frameType.HEADERS:
        this.#responses.headers(flags, streamId, bytes, start, end);
        break;
      case frameType.CONTINUATION:
        this.#responses.continuation(flags, streamId, bytes, start, end);
        break;
      case frameType.RST_STREAM:
        this.#responses.reset(streamId, bytes, start, end);
        break;
      case frameType.SETTINGS:
        this.#connection.settings(flags, streamId, bytes, start, end);
        break;
      case frameType.PING:
        this.#connection.ping(flags, streamId, bytes, start, end);
        break;
      case frameType.GOAWAY:
        this.#connection.goaway(streamId, bytes, start, end);
        break;
      case frameType.WINDOW_UPDATE:
        this.#connection.windowUpdate(streamId, bytes, start, end);
        break;
      case frameType.PUSH_PROMISE:
        throw new PeerError(errorCode.PROTOCOL_ERROR, "a PUSH_PROMISE, although push is disabled");
      case frameType.PRIORITY:
        if (streamId === 0) throw new PeerError(errorCode.PROTOCOL_ERROR, "PRIORITY of stream 0");
        if (end - start !== PRIORITY_BYTES) {
          throw new PeerError(errorCode.FRAME_SIZE_ERROR, `PRIORITY of ${end - start} bytes`);
        }
        this.#budget.spend();
        break;
      // What we do not know is passed over (RFC 9113, section 5.5).
      default:
        this.#budget.spend();
        break;
    }
  }
}
