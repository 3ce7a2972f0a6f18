import type { Clock, Timer } from "../internal/clock.ts";
import type { FrameWriter } from "./http2/frame-writer.ts";

const PAYLOAD_BYTES = 8;
/** The longest that an answer waits. Who pings to learn whether we live allows seconds. */
const HELD_MS = 10;
/**
 * Go's server enlarges its windows, which begin with 64 KiB, only when two thirds of one came between PING and answer.
 */
const LITTLE_BYTES = 32 * 1024;

/**
 * Answers the peer's PINGs (RFC 9113, section 6.7), one of a quiet connection after 10 ms.
 *
 * A server in Go measures the bandwidth: it sends a PING with each message that comes while no PING is under way.
 * Answered at once, that makes two wake-ups and two writes of each small call, on both sides. Where much was sent since
 * the last answer the measurement matters, and the answer leaves at once; it does so as well where the peer sends a
 * second PING before it has the answer of the first, and so does not measure.
 */
export class PingAnswers {
  readonly #clock: Clock;
  readonly #writer: Pick<FrameWriter, "position" | "pingAck">;
  readonly #payload = Buffer.alloc(PAYLOAD_BYTES);
  #timer: Timer | undefined;
  readonly #onRefused: (error: unknown) => void;
  /** The bytes that had been written when the last answer was. */
  #answeredAt = 0;

  /** @param onRefused an answer that was held could not be written: the peer does not read, a `PeerError` */
  constructor(clock: Clock, writer: Pick<FrameWriter, "position" | "pingAck">, onRefused: (error: unknown) => void) {
    this.#clock = clock;
    this.#writer = writer;
    this.#onRefused = onRefused;
  }

  /**
   * @param start where the payload begins
   * @throws PeerError when the peer does not read the answers
   */
  answer(bytes: Buffer, start: number): void {
    const isSecond = this.#timer !== undefined;
    if (isSecond) this.#answerHeld();
    if (isSecond || this.#writer.position - this.#answeredAt > LITTLE_BYTES) {
      this.#write(bytes, start);
      return;
    }
    bytes.copy(this.#payload, 0, start, start + PAYLOAD_BYTES);
    this.#timer = this.#clock.timer(HELD_MS, () => this.#holdIsOver()).unref();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Called by a timer: what is thrown here would end the process. */
  #holdIsOver(): void {
    try {
      this.#answerHeld();
    } catch (error) {
      this.#onRefused(error);
    }
  }

  #answerHeld(): void {
    this.stop();
    this.#write(this.#payload, 0);
  }

  #write(bytes: Buffer, start: number): void {
    this.#writer.pingAck(bytes, start);
    this.#answeredAt = this.#writer.position;
  }
}
