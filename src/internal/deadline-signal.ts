import { queueMicrotask } from "./real-time.ts";

const nativeAborted = nativeGetter("aborted");
const nativeReason = nativeGetter("reason");

/**
 * The signal of `controller`, with `aborted`, `reason` and `throwIfAborted()` asking `lostNow` each time they are used.
 * A timer alone cannot do this: after SIGSTOP and SIGCONT many continuations run before the first timer does.
 *
 * @param lostNow the reason why what the signal stands for is lost at this moment, or undefined
 */
export function deadlineSignal(controller: AbortController, lostNow: () => Error | undefined): AbortSignal {
  const { signal } = controller;
  // A doubt can come and go from one reading of the clock to the next: whoever reads `aborted` and then `reason` in one
  // breath must not throw undefined.
  let justSeen: Error | undefined;
  const current = (): { reason: unknown } | undefined => {
    const doubt = nativeAborted(signal) ? undefined : lostNow();
    // Asking may have aborted the signal.
    if (nativeAborted(signal)) return { reason: nativeReason(signal) };
    if (doubt !== undefined && justSeen === undefined) {
      queueMicrotask(() => {
        justSeen = undefined;
      });
    }
    justSeen = doubt;
    return doubt === undefined ? undefined : { reason: doubt };
  };
  return Object.defineProperties(signal, {
    aborted: { get: () => current() !== undefined },
    reason: {
      get: () => {
        const before = justSeen;
        return (current() ?? { reason: before }).reason;
      },
    },
    throwIfAborted: {
      value: () => {
        const lost = current();
        if (lost) throw lost.reason;
      },
    },
  });
}

function nativeGetter(name: "aborted" | "reason"): (signal: AbortSignal) => unknown {
  const getter = Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)?.get;
  if (!getter) throw new TypeError(`AbortSignal.prototype.${name} is not a getter`);
  return (signal) => getter.call(signal);
}
