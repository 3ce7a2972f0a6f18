import type { EtcdClient, EtcdError, KeyOrRange, Mirror, MirrorBatch } from "../../src/index.ts";
import { isRefusal, log, runtimeOf } from "../../src/internal/index.ts";
import { retry } from "../retries/index.ts";

const debug = log("follow");

export interface FollowRangeOptions {
  readonly signal: AbortSignal;
  /** Called while etcd refuses reads of the range, until an operator permits them. */
  onWarning(error: EtcdError): void;
  /** Called with what ends it, a moment before the iteration throws that: at once, while the client is being closed. */
  readonly onFailed?: ((error: EtcdError) => void) | undefined;
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
  options: FollowRangeOptions,
): AsyncGenerator<RangeStep, never, undefined> {
  const { signal, endsAfter = () => true } = options;
  const refused = (error: unknown) => {
    if (isRefusal(error) && !signal.aborted) options.onWarning(error as EtcdError);
  };
  let steps = stepsOfMirror(etcd, range, { ...options, endsAfter, onWarning: refused });
  const next = async () => {
    for (;;) {
      const { done, value } = await steps.next();
      if (!done) return value;
      // An aborted signal ends a mirror, too.
      signal.throwIfAborted();
      steps = stepsOfMirror(etcd, range, { ...options, endsAfter, onWarning: refused });
    }
  };
  const onWarning = (error: Error) => {
    debug("it is listed anew: %s", error.message);
    refused(error);
  };
  const retrying = { runtime: runtimeOf(etcd), signal, backoff: { initialMs: 100 }, ends: endsAfter, onWarning };
  try {
    for (;;) yield await retry(next, retrying);
  } finally {
    await steps.return();
  }
}

/** Ends when it is time to list anew. */
async function* stepsOfMirror(
  etcd: EtcdClient,
  range: KeyOrRange,
  { signal, onWarning, onFailed, endsAfter, listEveryMs }: FollowRangeOptions,
): AsyncGenerator<RangeStep, void, undefined> {
  const now = etcd.mirror(range, {
    signal,
    onStatus: (status, error) => {
      if (error && (status === "connecting" || status === "stale")) onWarning(error);
      if (status === "failed" && error && endsAfter?.(error)) onFailed?.(error);
    },
  });
  const { clock } = runtimeOf(etcd);
  const timer = listEveryMs === undefined ? undefined : clock.timer(listEveryMs, () => void now.close());
  try {
    for await (const batch of now) yield { batch, now };
  } finally {
    timer?.cancel();
    await now.close();
  }
}
