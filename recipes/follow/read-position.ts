import type { MirrorBatch } from "../../src/index.ts";
import { abortable, endsRetries, type Runtime, Wake } from "../../src/internal/index.ts";
import { retry, WarnOnce } from "../retries/index.ts";
import { LOOK_AGAIN_MS } from "./look-again.ts";
import type { PrefixMirror } from "./prefix-mirror.ts";
import { isAsNew, type RangeMark } from "./range-mark.ts";

export interface CatchUpParts {
  readonly followed: PrefixMirror;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Whether it was live before: then it waits until etcd permits it again. */
  readonly wasLive: boolean;
  /** Called with what is tried again. */
  onWarning(error: Error): void;
}

/** How far one reader of a shared mirror is. */
export class ReadPosition {
  #revision: number | undefined;
  /** Goes up with each list after the first: it may be of another history. */
  #lists = 0;
  readonly #moved = new Set<Wake>();
  readonly #live = new Set<Wake>();

  /** The reader has handled this batch. */
  handled({ type, revision }: MirrorBatch): void {
    this.#revision = revision;
    if (type === "resynced") this.#lists++;
    for (const wake of this.#moved) wake.set();
  }

  /** The mirror follows etcd again. */
  revived(): void {
    for (const wake of this.#live) wake.set();
  }

  /**
   * Resolves when the reader has handled all that etcd had at the call, or more, however long that takes.
   *
   * @throws `signal.reason`; what no retry can change
   */
  async catchUp(parts: CatchUpParts): Promise<void> {
    const { followed, runtime, signal, wasLive } = parts;
    const [moved, live] = [new Wake(), new Wake()];
    const warnings = new WarnOnce((error) => parts.onWarning(error));
    this.#moved.add(moved);
    this.#live.add(live);
    const attempt = async () => {
      const lists = this.#lists;
      const mark = await abortable(followed.mark(), signal);
      // A mirror of another history finds that out, and lists anew.
      return (mark && (await this.#reaches(mark, lists, moved, parts))) || undefined;
    };
    try {
      await retry(attempt, {
        runtime,
        signal,
        backoff: { initialMs: 100 },
        ends: (error) => endsRetries(error, wasLive),
        onWarning: (error) => warnings.warn(error),
        pause: (delayMs) => live.wait(runtime.clock, delayMs, signal),
      });
    } finally {
      this.#moved.delete(moved);
      this.#live.delete(live);
    }
  }

  /** @returns false when the mark may say nothing any more */
  async #reaches(mark: RangeMark, lists: number, moved: Wake, { followed, runtime, signal }: CatchUpParts) {
    const { clock } = runtime;
    const endMs = clock.monotonicMs() + LOOK_AGAIN_MS;
    while (this.#lists === lists && clock.monotonicMs() < endMs) {
      // Then the mirror has nothing that this reader has not handled.
      const isLevel = this.#revision === followed.mirror.revision;
      if (isLevel && isAsNew(followed.mirror, mark)) return true;
      await moved.wait(clock, Math.max(1, endMs - clock.monotonicMs()), signal);
      signal.throwIfAborted();
    }
    return false;
  }
}
