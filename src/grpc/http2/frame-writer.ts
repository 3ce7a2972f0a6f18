import { nextTick, queueMicrotask } from "../../internal/real-time.ts";
import { PeerError } from "./peer-error.ts";
import { errorCode, FRAME_HEADER_BYTES, frameFlag, frameType, preface } from "./protocol.ts";

/** Frames are put together in pieces of this size, each written at once. */
const SLAB_BYTES = 64 * 1024;
/** With more than this in the socket, DATA waits: what a peer does not take must not fill our memory. */
const CONGESTED_BYTES = 256 * 1024;

/**
 * Acknowledgements that may wait in the socket. A peer that sends on and does not read would fill our memory with them
 * (CVE-2019-9512, -9515). The number is that of Go's server: maxQueuedControlFrames.
 */
const MOST_ANSWERS = 10_000;

/** The side of a socket that is written to. */
export interface Output {
  write(bytes: Uint8Array): unknown;
  /** What was written and has not left. */
  readonly writableLength: number;
}

/**
 * Puts frames together. All that one turn of the event loop asks for leaves in one write, after the promises of that
 * turn: each system call costs as much as the rest of a small call.
 */
export class FrameWriter {
  readonly #output: Output;
  /** Where payloads are written, at the place that `begin` returned. */
  slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #from = 0;
  #to = 0;
  /** Bytes of all frames so far. */
  position = 0;
  /** Those of them that were given to the socket. */
  flushedPosition = 0;
  /** The socket is full; `drained()` says when it no longer is. */
  congested = false;
  /** Acknowledgements since the socket was last empty. */
  #answers = 0;
  #scheduled = false;
  #held = false;
  #stopped = false;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Something that was given to the socket has not left. */
  get isWaiting(): boolean {
    return this.#output.writableLength > 0;
  }

  /** What was given to the socket and has left the process. */
  get leftBytes(): number {
    return this.flushedPosition - this.#output.writableLength;
  }

  /**
   * Writes the header of a frame; its payload of `length` bytes is then written into `slab` from the returned place on.
   */
  begin(length: number, type: number, flags: number, streamId: number): number {
    const all = FRAME_HEADER_BYTES + length;
    if (this.#to + all > this.slab.length) this.#nextSlab(all);
    const { slab } = this;
    let at = this.#to;
    slab[at++] = length >>> 16;
    slab[at++] = length >>> 8;
    slab[at++] = length;
    slab[at++] = type;
    slab[at++] = flags;
    slab[at++] = streamId >>> 24;
    slab[at++] = streamId >>> 16;
    slab[at++] = streamId >>> 8;
    slab[at++] = streamId;
    this.#to = at + length;
    this.position += all;
    if (!this.#scheduled && !this.#held) this.#schedule();
    return at;
  }

  /** What stands before all frames (RFC 9113, section 3.4). */
  preface(): void {
    this.#to += this.slab.write(preface, this.#to, "latin1");
    this.position += preface.length;
  }

  reset(streamId: number, code: number): void {
    const at = this.begin(4, frameType.RST_STREAM, 0, streamId);
    this.slab.writeUInt32BE(code, at);
  }

  windowUpdate(streamId: number, bytes: number): void {
    const at = this.begin(4, frameType.WINDOW_UPDATE, 0, streamId);
    this.slab.writeUInt32BE(bytes, at);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    let at = this.begin(settings.length * 6, frameType.SETTINGS, 0, 0);
    for (const [id, value] of settings) {
      at = this.slab.writeUInt16BE(id, at);
      at = this.slab.writeUInt32BE(value, at);
    }
  }

  /** @throws PeerError when the peer makes us answer and does not read */
  settingsAck(): void {
    this.#countAnswer();
    this.begin(0, frameType.SETTINGS, frameFlag.ACK, 0);
  }

  ping(payload: Buffer): void {
    const at = this.begin(8, frameType.PING, 0, 0);
    payload.copy(this.slab, at);
  }

  /**
   * @param payload its 8 bytes from `from` on
   * @throws PeerError when the peer makes us answer and does not read
   */
  pingAck(payload: Buffer, from: number): void {
    this.#countAnswer();
    const at = this.begin(8, frameType.PING, frameFlag.ACK, 0);
    payload.copy(this.slab, at, from, from + 8);
  }

  /** Our peers open no streams, so the last one that we have taken is none. */
  goaway(code: number): void {
    const at = this.begin(8, frameType.GOAWAY, 0, 0);
    this.slab.writeUInt32BE(0, at);
    this.slab.writeUInt32BE(code, at + 4);
  }

  /** Until `release()` nothing is scheduled: more is to come in this turn. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (this.#to > this.#from && !this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#soon);
    }
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#to === this.#from || this.#stopped) return;
    const output = this.#output;
    // All that was given before has left. A TLS socket never says so when it is written to, only later.
    if (output.writableLength === 0) this.#answers = 0;
    this.flushedPosition += this.#to - this.#from;
    output.write(this.slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
    const waiting = output.writableLength;
    this.congested = waiting > CONGESTED_BYTES;
    // All of it has left, so its place may be used again.
    if (waiting === 0) {
      this.#from = 0;
      this.#to = 0;
    }
  }

  /** All that was given to the socket has left. */
  drained(): void {
    this.congested = false;
    this.#answers = 0;
  }

  /** Writes nothing any more. */
  stop(): void {
    this.#stopped = true;
  }

  #countAnswer(): void {
    if (++this.#answers > MOST_ANSWERS) {
      throw new PeerError(errorCode.ENHANCE_YOUR_CALM, `the peer does not read the answers to ${MOST_ANSWERS} frames`);
    }
  }

  /** Ticks come after the promises that are already due: what they still ask for leaves in the same write. */
  #schedule(): void {
    this.#scheduled = true;
    nextTick(this.#flushNow);
  }

  readonly #flushNow = () => this.flush();
  readonly #soon = () => nextTick(this.#flushNow);

  #nextSlab(atLeast: number): void {
    const scheduled = this.#scheduled;
    this.flush();
    this.#scheduled = scheduled;
    if (this.#to + atLeast <= this.slab.length) return;
    this.slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, atLeast));
    this.#from = 0;
    this.#to = 0;
  }
}
