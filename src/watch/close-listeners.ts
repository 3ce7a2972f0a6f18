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

  constructor(parent?: CloseListeners) {
    this.#parent = parent;
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
    for (const listener of [...this.#listeners]) listener(error);
  }
}
