import { createClient } from "@redis/client";
import type { Log } from "../shared/events.ts";
import { redisKeys } from "../shared/keys.ts";
import { retry } from "../shared/retry.ts";
import type { Task } from "./task.ts";
import type { DeadLetter, Taken, TaskSource } from "./task-source.ts";

const { tasks, group, deadLetters } = redisKeys;

/** How long a read waits for a new task; what went wrong with the connection is noticed within a few of these. */
const blockMs = 1_000;
/** A connection that is silent for longer is given up. */
const silenceLimitMs = 5_000;
/** How often it looks for what was handed out and lost. */
const sweepEveryMs = 5_000;
const sweepCount = 100;

interface Entry {
  readonly id: string;
  readonly message: Record<string, string>;
}

/**
 * Tasks in a stream of Redis, with a consumer group: what was read stays pending, entry by entry, until it is
 * acknowledged. (A list with a processing list would do as well, but there an entry is found again only by its whole
 * value, and nothing says who has it.)
 *
 * Only the leader reads, so whatever is pending and not in its own hand is lost: it was with a leader that died, or
 * with a read of its own whose answer was lost. It claims that at the start, after each reconnect, and every few
 * seconds, because a leader that was paused can still read once after its term. That it cannot do more is `progress`'s
 * business.
 *
 * While Redis is away everything waits, and is tried again for ever. What Redis has acknowledged, it can lose only as
 * far as it is set up so: `appendonly yes` with `appendfsync always` loses nothing, `everysec` a second when the
 * machine dies.
 */
export class RedisTasks implements TaskSource {
  readonly #log: Log;
  readonly #consumer: string;
  readonly #client: ReturnType<typeof createClient>;
  /** Of its own: a read that waits would hold up every other command. */
  readonly #reader: ReturnType<typeof createClient>;
  readonly #closing = new AbortController();
  readonly #inHand = new Set<string>();
  #claimed: Entry[] = [];
  #sweepAtMs = 0;
  #isAway = false;

  constructor(url: string, consumer: string, log: Log) {
    this.#log = log;
    this.#consumer = consumer;
    this.#client = this.#connect(url);
    this.#reader = this.#connect(url);
  }

  async take(signal: AbortSignal): Promise<Taken> {
    for (;;) {
      const entry = await this.#untilDone(() => this.#next(), signal);
      if (!entry || this.#inHand.has(entry.id)) continue;
      this.#inHand.add(entry.id);
      return {
        id: entry.id,
        value: entry.message.task ?? "",
        signal: this.#closing.signal,
        ack: (until) => this.#finish(entry.id, until),
        deadLetter: (reason, until) => this.#finish(entry.id, until, { value: entry.message.task ?? "", reason }),
      };
    }
  }

  /** One whose answer was lost can be there twice. */
  async submit(submitted: readonly Task[], signal: AbortSignal): Promise<void> {
    for (const task of submitted) {
      await this.#untilDone(() => this.#client.xAdd(tasks, "*", { task: JSON.stringify(task) }), signal);
    }
  }

  size(): Promise<number> {
    return this.#client.xLen(tasks);
  }

  async deadLetters(): Promise<DeadLetter[]> {
    return Object.values(await this.#client.hGetAll(deadLetters)).map((letter) => JSON.parse(letter));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the connection to Redis was closed"));
    for (const client of [this.#client, this.#reader]) {
      client.removeAllListeners("error").on("error", () => {});
      if (client.isOpen) client.destroy();
    }
  }

  #connect(url: string): ReturnType<typeof createClient> {
    const client: ReturnType<typeof createClient> = createClient({
      url,
      // Or a silent connection would be mistaken for a dead one.
      pingInterval: blockMs,
      socket: {
        connectTimeout: silenceLimitMs,
        socketTimeout: silenceLimitMs,
        reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 6), 2_000) * (0.5 + Math.random() / 2),
      },
    });
    client.on("error", (error: Error) => this.#away(error));
    // It goes on until it is connected, or closed: what it rejects with then says nothing new.
    client.connect().catch(() => {});
    return client;
  }

  /** Undefined: nothing came for a while. */
  async #next(): Promise<Entry | undefined> {
    if (performance.now() >= this.#sweepAtMs) await this.#sweep();
    const claimed = this.#claimed.shift();
    if (claimed) return claimed;
    const streams = await this.#reader.xReadGroup(
      group,
      this.#consumer,
      { key: tasks, id: ">" },
      { COUNT: 1, BLOCK: blockMs },
    );
    return (streams as { messages: Entry[] }[] | null)?.[0]?.messages[0];
  }

  async #sweep(): Promise<void> {
    await this.#client.xGroupCreate(tasks, group, "0", { MKSTREAM: true }).catch((error: Error) => {
      if (!error.message.startsWith("BUSYGROUP")) throw error;
    });
    const found: Entry[] = [];
    for (let start = "0-0"; ; ) {
      const { nextId, messages } = await this.#client.xAutoClaim(tasks, group, this.#consumer, 0, start, {
        COUNT: sweepCount,
      });
      for (const entry of messages) if (entry && !this.#inHand.has(entry.id)) found.push(entry);
      if (nextId === "0-0") break;
      start = nextId;
    }
    this.#claimed = found;
    this.#sweepAtMs = performance.now() + sweepEveryMs;
  }

  async #finish(id: string, signal: AbortSignal, letter?: DeadLetter): Promise<void> {
    await this.#untilDone(() => {
      const all = this.#client.multi();
      if (letter) all.hSet(deadLetters, id, JSON.stringify(letter));
      return all.xAck(tasks, group, id).xDel(tasks, id).exec();
    }, signal);
    this.#inHand.delete(id);
  }

  /** What Redis refuses may be set right there: it is tried for ever, with one event for all of it. */
  async #untilDone<T>(action: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = await retry(() => abortable(action(), signal), {
      signal,
      ends: (error) => {
        if (signal.aborted || this.#closing.signal.aborted) return true;
        // What was read and never came here is found by a sweep.
        this.#sweepAtMs = 0;
        this.#away(error as Error);
        return false;
      },
    });
    this.#back();
    return result;
  }

  #away(error: Error): void {
    // Of a connection that was closed here, Redis is not the cause.
    if (this.#isAway || this.#closing.signal.aborted) return;
    this.#isAway = true;
    const { code, message } = error as NodeJS.ErrnoException;
    this.#log("redis-away", { reason: message || code });
  }

  #back(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#log("redis-back");
  }
}

/** The command goes on: it is only not waited for any more. */
async function abortable<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([running, stopped]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
