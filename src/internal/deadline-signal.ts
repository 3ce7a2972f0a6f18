const nativeAborted = nativeGetter("aborted");
const nativeReason = nativeGetter("reason");
/** What a signal does before it is read. */
const looks = new WeakMap<AbortSignal, () => void>();

/** What all of these signals share: properties of its own would cost each of them a kilobyte. */
const deadlineSignals = Object.create(AbortSignal.prototype, {
  aborted: {
    get(this: AbortSignal) {
      return isAborted(this);
    },
  },
  reason: {
    get(this: AbortSignal) {
      return isAborted(this) ? nativeReason(this) : undefined;
    },
  },
  throwIfAborted: {
    value(this: AbortSignal) {
      if (isAborted(this)) throw nativeReason(this);
    },
  },
});

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
  looks.set(signal, look);
  return Object.setPrototypeOf(signal, deadlineSignals);
}

function isAborted(signal: AbortSignal): boolean {
  if (!nativeAborted(signal)) looks.get(signal)?.();
  return nativeAborted(signal) === true;
}

function nativeGetter(name: "aborted" | "reason"): (signal: AbortSignal) => unknown {
  const getter = Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)?.get;
  if (!getter) throw new TypeError(`AbortSignal.prototype.${name} is not a getter`);
  return (signal) => getter.call(signal);
}
