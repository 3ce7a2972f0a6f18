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
  const current = (): { reason: unknown } | undefined => {
    const doubt = nativeAborted(signal) ? undefined : lostNow();
    // Asking may have aborted the signal.
    if (nativeAborted(signal)) return { reason: nativeReason(signal) };
    return doubt === undefined ? undefined : { reason: doubt };
  };
  return Object.defineProperties(signal, {
    aborted: { get: () => current() !== undefined },
    reason: { get: () => current()?.reason },
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
