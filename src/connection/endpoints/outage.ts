import type { Clock } from "../../internal/clock.ts";

/** So long nothing could be reached when the process is warned. */
const WARN_AFTER_MS = 5_000;
/** What failed so long ago was waited for by others: those who retry do so more often. */
const FORGET_AFTER_MS = 15_000;
/** A line of a log, not a page of it. */
const MOST_SHOWN = 5;

/**
 * Notices that nothing can be reached while something waits for it, and warns the process once for each outage: what
 * retries for ever would otherwise be silent, and a wrong endpoint look like patience.
 *
 *   fine ──▶ failing ──▶ 5 s later, with each endpoint failed ──▶ warned
 *     ▲─────────┴──────────── something answered ──────────────────┘
 */
export class Outage {
  readonly #clock: Clock;
  readonly #reasons = new Map<string, string>();
  #sinceMs: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #warned = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * An attempt failed at this endpoint.
   *
   * @param endpoints all there are: while one of them was not tried, it may be fine
   */
  failed(url: string, { message }: Error, endpoints: readonly { readonly url: string }[]): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#lastMs > FORGET_AFTER_MS) this.over();
    this.#lastMs = now;
    if (this.#warned) return;
    this.#sinceMs ??= now;
    this.#reasons.set(url, message.startsWith(url) ? message : `${url}: ${message}`);
    if (now - this.#sinceMs < WARN_AFTER_MS || !endpoints.every((endpoint) => this.#reasons.has(endpoint.url))) return;
    this.#warned = true;
    const reasons = endpoints.map((endpoint) => this.#reasons.get(endpoint.url)).slice(0, MOST_SHOWN);
    const more = endpoints.length > MOST_SHOWN ? `; and ${endpoints.length - MOST_SHOWN} more` : "";
    process.emitWarning(`etcd was not reached for ${WARN_AFTER_MS / 1_000} s: ${reasons.join("; ")}${more}`, {
      type: "EtcdWarning",
      code: "ETCD_UNREACHABLE",
    });
  }

  /** Something answered. */
  over(): void {
    if (this.#sinceMs === undefined) return;
    this.#sinceMs = undefined;
    this.#warned = false;
    this.#reasons.clear();
  }
}
