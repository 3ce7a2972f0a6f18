import { abortable, type Clock, quietDeferred } from "../../src/internal/index.ts";
import { checkHealth } from "../health/index.ts";
import { WarnOnce } from "../retries/index.ts";

export interface HealthParts {
  /** Undefined: always healthy. */
  readonly check: ((signal: AbortSignal) => Promise<boolean> | boolean) | undefined;
  readonly everyMs: number;
  readonly clock: Clock;
  /** Called when a check threw or took too long, once for the same message. */
  onWarning(error: Error): void;
}

/** Whether a candidate can lead, asked again and again while it is needed. */
export class Health {
  readonly #parts: HealthParts;
  readonly #listeners = new Set<() => void>();
  /** Undefined until the first check has answered. */
  #healthy: boolean | undefined;
  readonly #warnings: WarnOnce;

  constructor(parts: HealthParts) {
    this.#parts = parts;
    this.#warnings = new WarnOnce((error) => parts.onWarning(error));
    if (!parts.check) this.#healthy = true;
  }

  /** Asks until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { check, everyMs, clock } = this.#parts;
    if (!check) return;
    this.#healthy = undefined;
    const onResult = (healthy: boolean, error?: Error) => (error ? this.#unwell(error) : this.#set(healthy));
    await checkHealth({ check, everyMs, clock, onResult }, signal);
  }

  /** @throws `signal.reason` */
  async untilHealthy(signal: AbortSignal): Promise<void> {
    if (this.#healthy) return;
    const healthy = quietDeferred<void>();
    const listener = () => this.#healthy && healthy.resolve();
    this.#listeners.add(listener);
    try {
      await abortable(healthy.promise, signal);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Calls `listener` when it is not healthy any more, at once if it is not now. The returned function takes it off. */
  onUnhealthy(listener: () => void): () => void {
    const call = () => this.#healthy === false && listener();
    this.#listeners.add(call);
    call();
    return () => this.#listeners.delete(call);
  }

  #set(healthy: boolean): void {
    if (healthy) this.#warnings.worked();
    if (healthy === this.#healthy) return;
    this.#healthy = healthy;
    for (const listener of [...this.#listeners]) listener();
  }

  #unwell(error: Error): void {
    this.#warnings.warn(error);
    this.#set(false);
  }
}
