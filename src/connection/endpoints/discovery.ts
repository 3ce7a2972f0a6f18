import { UnavailableError } from "../../errors/unavailable-error.ts";
import { within } from "../../internal/abort.ts";
import { asError } from "../../internal/as-error.ts";
import { Backoff } from "../../internal/backoff.ts";
import { log } from "../../internal/log.ts";
import type { Runtime } from "../../internal/runtime.ts";
import type { EndpointUrl, SrvDomain } from "./endpoint-url.ts";
import { lookUpSrv, type SrvResolver } from "./srv-lookup.ts";

const debug = log("connection");

/** Members come and go seldom: half to one and a half of this pass between two looks of a client that is in use. */
const LOOK_EVERY_MS = 60_000;
/** So soon where members fail: the records may be about to change. */
const LOOK_AT_FAILURES_MS = 5_000;
/** A resolver asks several servers several times; then the look is given up. */
const LOOK_LIMIT_MS = 10_000;

export interface DiscoveryParts {
  readonly srv: SrvDomain;
  readonly resolver: SrvResolver;
  readonly runtime: Runtime;
  /** Whether members without TLS are out of the question: by the options, or since there were some with it. */
  onlySecured(): boolean;
  /** DNS names these, at least one. */
  found(endpoints: readonly EndpointUrl[]): void;
}

/**
 * Asks DNS for the members of a domain: when the first of them is needed, and again by and by while the client is in
 * use. An idle one asks nothing, so that it holds no process. What DNS said last holds until it names others: also
 * while it does not answer, and when it names none any more.
 */
export class Discovery {
  readonly #parts: DiscoveryParts;
  readonly #pace: Backoff;
  #looking: Promise<void> | undefined;
  #failure: { readonly error: Error; readonly untilMs: number } | undefined;
  #againMs = Number.NEGATIVE_INFINITY;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
    this.#pace = new Backoff(parts.runtime, { initialMs: 100, maxMs: 1_000 });
  }

  /**
   * Resolves once DNS has named members. All share one look, and a failure of it holds for a moment: a crowd of calls,
   * each with retries of its own, would ask in a loop.
   *
   * @throws UnavailableError that says what DNS answered, or that it has not yet within `waitMs`
   */
  async first(waitMs: number): Promise<void> {
    const { runtime, srv } = this.#parts;
    if (this.#failure && runtime.clock.monotonicMs() < this.#failure.untilMs) throw this.#failure.error;
    await within(
      runtime.clock,
      this.#look(),
      waitMs,
      () => new UnavailableError(`${srv.url}: no answer from DNS yet`, { retryable: true }),
    );
  }

  /** Looks again in the background when it is time to. @param failing whether members cannot be reached */
  inUse(failing: boolean): void {
    if (this.#closed || this.#looking) return;
    const now = this.#parts.runtime.clock.monotonicMs();
    if (now < this.#againMs && !(failing && now - this.#lookedMs >= LOOK_AT_FAILURES_MS)) return;
    this.#look().catch(() => {});
  }

  close(): void {
    this.#closed = true;
    this.#parts.resolver.cancel();
  }

  #look(): Promise<void> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #ask(): Promise<void> {
    const { srv, resolver, runtime, onlySecured, found } = this.#parts;
    const { clock, random } = runtime;
    this.#lookedMs = clock.monotonicMs();
    this.#againMs = this.#lookedMs + LOOK_EVERY_MS * (0.5 + random());
    try {
      const answer = lookUpSrv(srv.domain, resolver, onlySecured());
      const endpoints = await within(clock, answer, LOOK_LIMIT_MS, () => {
        resolver.cancel();
        return new UnavailableError("DNS does not answer", { retryable: true });
      });
      this.#failure = undefined;
      this.#pace.succeeded();
      if (!this.#closed) found(endpoints);
    } catch (cause) {
      const { message } = asError(cause);
      debug("%s: %s", srv.url, message);
      const error = new UnavailableError(`${srv.url}: ${message}`, { cause, retryable: true });
      this.#failure = { error, untilMs: clock.monotonicMs() + this.#pace.nextMs() };
      throw error;
    }
  }
}
