import type { EventEmitter } from "node:events";

type Name = string | symbol;
type Look = (name: Name) => void;

/**
 * Calls `added` before each listener of `emitter` is added, and `removed` after each that is removed. Goes on after
 * `removeAllListeners()`, which takes off Node's own events for that, too.
 */
export function watchListeners(emitter: EventEmitter, added: Look, removed: Look): void {
  const looks = { newListener: added, removeListener: removed } as const;
  const watch = () => {
    for (const [name, look] of Object.entries(looks)) {
      if (!emitter.listeners(name).includes(look)) emitter.on(name, look);
    }
  };
  const { removeAllListeners } = emitter;
  let isRemoving = false;
  const value = (...names: [name?: Name]) => {
    // Node calls it again for each name.
    const isOuter = !isRemoving;
    isRemoving = true;
    try {
      removeAllListeners.apply(emitter, names as [Name]);
    } finally {
      if (isOuter) isRemoving = false;
    }
    if (isOuter) watch();
    return emitter;
  };
  Object.defineProperty(emitter, "removeAllListeners", { value, configurable: true, writable: true });
  watch();
}
