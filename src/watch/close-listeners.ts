import type { ClientClosedError } from "../errors/client-closed-error.ts";

type Listener = (error: ClientClosedError) => void;

/**
 * Those who follow, and hear when their client is closed. What follows within a namespace hears of its parent's end,
 * too; the parent knows of it only as long as something does follow.
 */
export class CloseListeners {
  readonly #parent: CloseListeners | undefined;
  readonly #listeners = new Set<Listener>();
  #release: (() => void) | undefined;
  #closed: ClientClosedError | undefined;

  constructor(parent?: CloseListeners) {
    this.#parent = parent;
  }

  /** Why nothing is followed any more; undefined as long as it can be. */
  get closed(): ClientClosedError | undefined {
    return this.#closed ?? this.#parent?.closed;
  }

  /** The returned function takes the listener off. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#release ??= this.#parent?.on((error) => this.close(error));
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#release?.();
      this.#release = undefined;
    };
  }

  close(error: ClientClosedError): void {
    this.#closed ??= error;
    for (const listener of [...this.#listeners]) listener(error);
  }
}
