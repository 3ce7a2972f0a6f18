import type { EtcdClient, EtcdError, KeyOrRange, Mirror, MirrorBatch } from "../../src/index.ts";
import { asError, Backoff, isRefusal, log, runtimeOf } from "../../src/internal/index.ts";

const debug = log("follow");

export interface FollowRangeOptions {
  readonly signal: AbortSignal;
  /** Called while etcd refuses to tell of the range, which a person mends there. */
  onRefused(error: EtcdError): void;
  /** Called with what ends it, a moment before the iteration throws that: at once, while the client is being closed. */
  readonly onEnd?: ((error: EtcdError) => void) | undefined;
  /** Whether an error ends it. After any other one it lists anew, after growing pauses. @default all do */
  readonly endsAfter?: ((error: unknown) => boolean) | undefined;
  /** The range is listed anew this often, even if nothing is heard of it: old servers can lose a watch's event. */
  readonly listEveryMs?: number | undefined;
}

/** What happened, and the range as it stands after that, or later. */
export interface RangeStep {
  readonly batch: MirrorBatch;
  readonly now: Pick<Mirror, "entries" | "get">;
}

/**
 * Follows a range for as long as it is iterated: first what is there, then each change. A list anew is another
 * snapshot.
 *
 * @throws `signal.reason`; what ends it
 */
export async function* followRange(
  etcd: EtcdClient,
  range: KeyOrRange,
  { signal, onRefused, onEnd, endsAfter = () => true, listEveryMs }: FollowRangeOptions,
): AsyncGenerator<RangeStep, never, undefined> {
  const runtime = runtimeOf(etcd);
  const backoff = new Backoff(runtime, { initialMs: 100 });
  const refused = (error: unknown) => {
    if (isRefusal(error) && !signal.aborted) onRefused(error as EtcdError);
  };
  for (;;) {
    signal.throwIfAborted();
    const now = etcd.mirror(range, {
      signal,
      onStatus: (status, error) => {
        if (status === "connecting" || status === "stale") refused(error);
        if (status === "failed" && error && endsAfter(error)) onEnd?.(error);
      },
    });
    const timer = listEveryMs === undefined ? undefined : runtime.clock.timer(listEveryMs, () => void now.close());
    try {
      for await (const batch of now) yield { batch, now };
    } catch (error) {
      if (signal.aborted || endsAfter(error)) throw error;
      debug("it is listed anew: %s", asError(error).message);
      refused(error);
      await backoff.wait(signal, { cause: error });
    } finally {
      timer?.cancel();
      await now.close();
    }
  }
}
