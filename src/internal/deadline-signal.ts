const nativeAborted = nativeGetter("aborted");
const nativeReason = nativeGetter("reason");

/**
 * The signal of `controller`, with `aborted`, `reason` and `throwIfAborted()` calling `look` each time they are used.
 * `look` aborts `controller` when the clock says so. A timer alone cannot do this: after SIGSTOP and SIGCONT many
 * continuations run before the first timer does.
 *
 * It has no state of its own: what it reads is the state of the controller, so an `aborted` that was read true stays
 * true, and the event has fired. On Node 20 and 22 a signal made of it by `AbortSignal.any()` does not look: Node keeps
 * its state.
 */
export function deadlineSignal(controller: AbortController, look: () => void): AbortSignal {
  const { signal } = controller;
  const isAborted = (): boolean => {
    if (!nativeAborted(signal)) look();
    return nativeAborted(signal) === true;
  };
  return Object.defineProperties(signal, {
    aborted: { get: isAborted },
    reason: { get: () => (isAborted() ? nativeReason(signal) : undefined) },
    throwIfAborted: {
      value: () => {
        if (isAborted()) throw nativeReason(signal);
      },
    },
  });
}

function nativeGetter(name: "aborted" | "reason"): (signal: AbortSignal) => unknown {
  const getter = Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)?.get;
  if (!getter) throw new TypeError(`AbortSignal.prototype.${name} is not a getter`);
  return (signal) => getter.call(signal);
}
