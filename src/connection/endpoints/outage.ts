import { UnavailableError } from "../../errors/unavailable-error.ts";
import type { Clock } from "../../internal/clock.ts";
import { meaningOf } from "../errors/etcd-sentences.ts";

/** So long nothing could be reached when the process is warned. */
const WARN_AFTER_MS = 5_000;
/** What failed so long ago was waited for by others: those who retry do so more often. */
const FORGET_AFTER_MS = 15_000;
/** A line of a log, not a page of it. */
const MOST_SHOWN = 5;

interface Reason {
  readonly text: string;
  /** A member has answered, in words of etcd's own. */
  readonly isAnswer: boolean;
}

/**
 * Notices that nothing can be reached while something waits for it, and warns the process once for each outage: what
 * retries for ever would otherwise be silent, and a wrong endpoint look like patience.
 *
 *   fine ──▶ failing ──▶ 5 s later, with each endpoint failed ──▶ warned
 *     ▲─────────┴──────────── something answered ──────────────────┘
 */
export class Outage {
  readonly #clock: Clock;
  readonly #warns: boolean;
  readonly #reasons = new Map<string, Reason>();
  #sinceMs: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #warned = false;

  /** @param warns whether the process is warned */
  constructor(clock: Clock, warns = true) {
    this.#clock = clock;
    this.#warns = warns;
  }

  /**
   * Why nothing can be reached, by endpoint; undefined unless each of them failed lately and nothing has answered
   * since.
   */
  why(endpoints: readonly { readonly url: string }[]): UnavailableError | undefined {
    if (this.#sinceMs === undefined || this.#clock.monotonicMs() - this.#lastMs > FORGET_AFTER_MS) return undefined;
    if (!endpoints.every(({ url }) => this.#reasons.has(url))) return undefined;
    const problem = this.#isReached ? "no endpoint serves" : "etcd is not reached";
    return new UnavailableError(`${problem}: ${this.#reasonsOf(endpoints)}`, { retryable: true });
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
    this.#sinceMs ??= now;
    const text = message.startsWith(url) ? message : `${url}: ${message}`;
    this.#reasons.set(url, { text, isAnswer: meaningOf(message) !== undefined });
    if (this.#warned || !this.#warns) return;
    if (now - this.#sinceMs < WARN_AFTER_MS || !endpoints.every((endpoint) => this.#reasons.has(endpoint.url))) return;
    this.#warned = true;
    const problem = this.#isReached ? "no endpoint served" : "etcd was not reached";
    process.emitWarning(`${problem} for ${WARN_AFTER_MS / 1_000} s: ${this.#reasonsOf(endpoints)}`, {
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

  /** Some member has answered, if only that it cannot serve. */
  get #isReached(): boolean {
    return [...this.#reasons.values()].some(({ isAnswer }) => isAnswer);
  }

  #reasonsOf(endpoints: readonly { readonly url: string }[]): string {
    const reasons = endpoints.map((endpoint) => this.#reasons.get(endpoint.url)?.text).slice(0, MOST_SHOWN);
    const more = endpoints.length > MOST_SHOWN ? `; and ${endpoints.length - MOST_SHOWN} more` : "";
    return reasons.join("; ") + more;
  }
}
