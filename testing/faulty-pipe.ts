import type { Socket } from "node:net";
import { clearTimeout, monotonicMs, setTimeout } from "./real-time.ts";

/** What a pipe does with the bytes that it carries. */
export interface PipeFaults {
  /** Nothing goes through. What was under way is kept and goes through when this ends. */
  readonly held: boolean;
  /** How much later than they came the bytes go on, in milliseconds. */
  readonly delayMs: number;
}

const mostQueuedBytes = 4 * 1024 * 1024;

/**
 * Carries the bytes of one socket to another, in order, with faults that can change at any time. A sink that is slow
 * slows the source down, as without the pipe.
 */
export class FaultyPipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  #faults: PipeFaults;
  // A chunk of undefined is the end of the stream.
  #queue: { readonly dueAt: number; readonly chunk: Buffer | undefined }[] = [];
  #queuedBytes = 0;
  #sinkIsFull = false;
  #finished = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, sink: Socket, faults: PipeFaults) {
    this.#source = source;
    this.#sink = sink;
    this.#faults = faults;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.on("end", () => this.#take(undefined));
    sink.on("drain", () => {
      this.#sinkIsFull = false;
      this.#flush();
    });
    sink.on("close", () => this.#stop());
    this.#flush();
  }

  set faults(faults: PipeFaults) {
    this.#faults = faults;
    this.#flush();
  }

  /** Lets the sink know that the stream is over; whatever the source still sends is thrown away. */
  finish(): void {
    this.#stop();
    this.#sink.end();
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#finished) return;
    this.#queue.push({ dueAt: monotonicMs() + this.#faults.delayMs, chunk });
    this.#queuedBytes += chunk?.length ?? 0;
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    for (let head = this.#queue[0]; head !== undefined && !this.#finished; head = this.#queue[0]) {
      if (this.#faults.held || this.#sinkIsFull) break;
      const waitMs = head.dueAt - monotonicMs();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#flush(), waitMs).unref();
        break;
      }
      this.#queue.shift();
      this.#send(head.chunk);
    }
    this.#throttleSource();
  }

  #send(chunk: Buffer | undefined): void {
    if (chunk === undefined) {
      this.finish();
      return;
    }
    this.#queuedBytes -= chunk.length;
    this.#sinkIsFull = !this.#sink.write(chunk);
  }

  #throttleSource(): void {
    if (this.#finished) return;
    if (this.#faults.held || this.#sinkIsFull || this.#queuedBytes > mostQueuedBytes) this.#source.pause();
    else this.#source.resume();
  }

  #stop(): void {
    this.#finished = true;
    this.#queue = [];
    clearTimeout(this.#timer);
    // A source that is not read would never be seen to end.
    this.#source.resume();
  }
}
