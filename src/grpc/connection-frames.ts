import type { ExchangeTable } from "./exchange-table.ts";
import { grpcFailure } from "./grpc-failure.ts";
import type { FrameBudget } from "./http2/frame-budget.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";
import { PeerError } from "./http2/peer-error.ts";
import { PeerSettings } from "./http2/peer-settings.ts";
import { errorCode, frameFlag, LARGEST_STREAM_ID, LARGEST_WINDOW_BYTES } from "./http2/protocol.ts";
import type { PingAnswers } from "./ping-answers.ts";
import type { RequestHeaders } from "./request-headers.ts";
import type { ResponseFramesParts } from "./response-frames.ts";
import type { Sender } from "./sender.ts";
import { grpcStatus } from "./status.ts";

const PING_BYTES = 8;
const GOAWAY_BYTES = 8;
/** The most that is shown of what a server says in a GOAWAY. */
const MOST_SHOWN = 200;

export interface ConnectionFramesParts {
  readonly table: ExchangeTable;
  readonly writer: FrameWriter;
  readonly budget: FrameBudget;
  readonly sender: Sender;
  readonly pingAnswers: PingAnswers;
  readonly headers: RequestHeaders;
  readonly end: ResponseFramesParts["end"];
  /** The peer's settings have changed. */
  settled(): void;
  /** @param answers what the peer acknowledges; the payload of a PING */
  acknowledged(answers: "settings" | Buffer): void;
  goaway(lastId: number, code: number, words: string): void;
}

/** Takes the frames of the connection: SETTINGS, PING, GOAWAY and WINDOW_UPDATE (RFC 9113, sections 6.5 to 6.9). */
export class ConnectionFrames {
  readonly #parts: ConnectionFramesParts;
  readonly peer = new PeerSettings();
  #lastId = LARGEST_STREAM_ID;

  constructor(parts: ConnectionFramesParts) {
    this.#parts = parts;
  }

  settings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const { writer, budget, sender, headers, table } = this.#parts;
    noStream("SETTINGS", streamId);
    if ((flags & frameFlag.ACK) !== 0) {
      if (start !== end)
        throw new PeerError(errorCode.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS that is not empty");
      this.#parts.acknowledged("settings");
      return;
    }
    budget.spend();
    const { peer } = this;
    const before = peer.initialWindowBytes;
    peer.apply(bytes, start, end);
    headers.limitTable(peer.headerTableBytes);
    sender.limitFrames(peer.maxFrameBytes);
    table.maxOpen = peer.maxConcurrentStreams;
    if (peer.initialWindowBytes !== before) this.#shiftWindows(peer.initialWindowBytes - before);
    writer.settingsAck();
    sender.pump();
    this.#parts.settled();
  }

  ping(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    noStream("PING", streamId);
    if (end - start !== PING_BYTES) throw new PeerError(errorCode.FRAME_SIZE_ERROR, `PING of ${end - start} bytes`);
    if ((flags & frameFlag.ACK) !== 0) {
      this.#parts.acknowledged(bytes.subarray(start, end));
      return;
    }
    this.#parts.budget.spend();
    this.#parts.pingAnswers.answer(bytes, start);
  }

  goaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    noStream("GOAWAY", streamId);
    if (end - start < GOAWAY_BYTES) throw new PeerError(errorCode.FRAME_SIZE_ERROR, `GOAWAY of ${end - start} bytes`);
    this.#parts.budget.spend();
    const lastId = bytes.readUInt32BE(start) & LARGEST_STREAM_ID;
    // It may say more than once what it will not look at, never less (section 6.8).
    if (lastId > this.#lastId) throw new PeerError(errorCode.PROTOCOL_ERROR, "a GOAWAY that takes an earlier one back");
    this.#lastId = lastId;
    const words = bytes.toString("utf8", start + GOAWAY_BYTES, Math.min(end, start + GOAWAY_BYTES + MOST_SHOWN));
    this.#parts.goaway(lastId, bytes.readUInt32BE(start + 4), words);
  }

  windowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    const { table, budget, sender } = this.#parts;
    if (end - start !== 4) throw new PeerError(errorCode.FRAME_SIZE_ERROR, `WINDOW_UPDATE of ${end - start} bytes`);
    budget.spend();
    const increment = bytes.readUInt32BE(start) & LARGEST_WINDOW_BYTES;
    if (streamId === 0) {
      if (increment === 0) throw new PeerError(errorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
      sender.credit(increment);
      return;
    }
    table.check(streamId);
    const exchange = table.get(streamId);
    if (exchange === undefined) return;
    const fail = (code: number, problem: string) =>
      this.#parts.end(exchange, grpcFailure(grpcStatus.INTERNAL, `the server broke HTTP/2: ${problem}`), code);
    if (increment === 0) {
      fail(errorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
      return;
    }
    if (!sender.creditStream(exchange, increment)) fail(errorCode.FLOW_CONTROL_ERROR, "a window above 2^31-1");
  }

  /** The windows of open streams move with the setting, and may become less than nothing (section 6.9.2). */
  #shiftWindows(bytes: number): void {
    for (const exchange of this.#parts.table.all()) {
      if (exchange.id === 0) continue;
      exchange.sendWindow += bytes;
      if (exchange.sendWindow > LARGEST_WINDOW_BYTES) {
        throw new PeerError(
          errorCode.FLOW_CONTROL_ERROR,
          "a setting INITIAL_WINDOW_SIZE that makes a window larger than 2^31-1",
        );
      }
    }
  }
}

function noStream(what: string, streamId: number): void {
  if (streamId !== 0) throw new PeerError(errorCode.PROTOCOL_ERROR, `${what} of stream ${streamId}`);
}
