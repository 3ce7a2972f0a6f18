import type { LeaseKeepAliveResponse, Protocol, StreamEndpoint } from "../connection/index.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import { LeaseLostError } from "../errors/lease-lost-error.ts";
import { Backoff, shortened } from "../internal/backoff.ts";
import type { Timer } from "../internal/clock.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { HeldLease } from "./held-lease.ts";
import { RenewalStream } from "./renewal-stream.ts";

const debug = log("lease");

/** Timers closer together than this are one. */
const SMALLEST_STEP_MS = 20;
/** With less than this of its TTL left a lease waits no longer for a slow stream. */
const DANGER = 0.3;
/** A timer that fires so much later than it should says that the event loop was blocked. */
const LATE_MS = 250;
/** How often it looks at the clocks: a suspended machine, and one that was moved, are found out this soon after they go on. */
const LOOK_EVERY_MS = 1_000;
/** A wall clock that runs ahead of the monotonic one by so much was set, or the machine stood still. */
const RAN_AHEAD_MS = 1_000;
/** Streams that were left behind and may still answer. */
const MOST_RETIRED = 4;

interface Kept {
  readonly lease: HeldLease;
  renewAtMs: number;
}

/**
 * Renews every kept-alive lease of a client.
 *
 * ```
 *   held ──due──▶ asked on the primary stream ──answer, TTL > 0──▶ held, deadline moved on
 *    │                    │      └────answer, TTL ≤ 0────────────▶ lost
 *    │                    └──silence for min(1 s, TTL/6)─────────▶ a new primary on the next endpoint gets all that is
 *    │                                                             unanswered; the old one may still answer
 *    └──own deadline passes──────────────────────────────────────▶ lost
 * ```
 *
 * A renewal that waits in a follower for a dead leader blocks its stream for seconds, and with it every lease on it: so a
 * silent stream is left at once, but not closed before the lease's fate is known. A broken stream, or "no leader", says
 * nothing about the lease. One timer for all leases; no stream and no timer when there are none.
 */
export class LeaseKeeper {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #dialLimitMs: number;
  readonly #kept = new Map<LeaseId, Kept>();
  readonly #retired = new Set<RenewalStream>();
  readonly #backoff: Backoff;
  #primary: RenewalStream | undefined;
  #lastEndpoint: StreamEndpoint | undefined;
  /** The pause after a stream that broke. */
  #pause = { sinceMs: 0, forMs: 0 };
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #wasLate = false;
  /** How far the wall clock was ahead of the monotonic one at the last look. */
  #wallAheadMs = Number.NaN;

  constructor(protocol: Protocol, dialLimitMs: number, runtime: Runtime) {
    this.#protocol = protocol;
    this.#dialLimitMs = dialLimitMs;
    this.#runtime = runtime;
    this.#backoff = new Backoff(runtime, { initialMs: 30, maxMs: 1_000 });
  }

  keep(lease: HeldLease, renewAtMs: number): void {
    if (this.#kept.size === 0) this.#wallRanAhead();
    this.#kept.set(lease.id, { lease, renewAtMs });
    this.#wakeAt(Math.min(renewAtMs, lease.deadline.atMs, this.#runtime.clock.elapsedMs() + LOOK_EVERY_MS));
  }

  /** Takes the lease out of renewal. */
  forget(lease: HeldLease): void {
    if (this.#kept.get(lease.id)?.lease !== lease) return;
    this.#kept.delete(lease.id);
    for (const stream of this.#streams()) stream.forget(lease.id);
    if (this.#kept.size === 0) this.close();
  }

  get leases(): HeldLease[] {
    return [...this.#kept.values()].map(({ lease }) => lease);
  }

  close(): void {
    this.#kept.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    this.#wallAheadMs = Number.NaN;
    for (const stream of this.#streams()) stream.close();
    this.#primary = undefined;
    this.#retired.clear();
  }

  /** Looks at every lease once: ends what is past its deadline, renews what is due, leaves a stream that does not answer. */
  #look(): void {
    const now = this.#runtime.clock.elapsedMs();
    const lateMs = now - this.#timerAtMs;
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const late = lateMs > LATE_MS;
    if (late) debug("the event loop was blocked for about %d ms", Math.round(lateMs));
    for (const { lease } of [...this.#kept.values()]) {
      if (!lease.deadline.hasPassed()) continue;
      const stall = late ? `; the event loop was blocked for about ${Math.round(lateMs)} ms` : "";
      lease.lose(new LeaseLostError(`lease ${lease.id} was not renewed within its ${lease.ttlSeconds} s${stall}`));
    }
    // After a block the answers may be here and unread: look at them first, but do not put it off again and again.
    if ((this.#wasLate || !late) && this.#primaryIsSilent(now)) this.#leavePrimary();
    this.#wasLate = late;
    if (this.#wallRanAhead()) for (const kept of this.#kept.values()) kept.renewAtMs = Math.min(kept.renewAtMs, now);
    this.#renewDue(now);
    this.#schedule();
  }

  #renewDue(now: number): void {
    const due = [...this.#kept.values()].filter(({ renewAtMs }) => renewAtMs <= now);
    if (due.length === 0) return;
    if (!this.#primary && now < this.#openAtMs()) return;
    due.sort((a, b) => a.lease.deadline.atMs - b.lease.deadline.atMs);
    const primary = this.#openPrimary();
    for (const { lease } of due) primary.renew(lease.id);
  }

  #openPrimary(): RenewalStream {
    if (this.#primary) return this.#primary;
    const endpoint = this.#protocol.streamEndpoints(this.#lastEndpoint)[0] as StreamEndpoint;
    debug("renewing on %s", endpoint.url);
    this.#primary = new RenewalStream(this.#protocol, endpoint, this.#dialLimitMs, {
      nowMs: () => this.#runtime.clock.elapsedMs(),
      answered: (stream, response, sentMs) => this.#answered(stream, response, sentMs),
      ended: (stream, error) => this.#ended(stream, error),
    });
    return this.#primary;
  }

  /**
   * A renewal waits for too long, and either the stream answers nothing at all or it is too slow for this lease. Many
   * renewals on a stream that goes on answering only have to wait for each other: asking them all again elsewhere would
   * double the work just where it is too much already.
   */
  #primaryIsSilent(now: number): boolean {
    const primary = this.#primary;
    for (const [id, { askedMs }] of primary?.unanswered ?? []) {
      const lease = this.#kept.get(id)?.lease;
      if (!lease || now < askedMs + silenceLimitMs(lease)) continue;
      const stuck = now >= (primary?.heardMs ?? 0) + silenceLimitMs(lease);
      if (stuck || lease.deadline.atMs - now < ttlMs(lease) * DANGER) return true;
    }
    return false;
  }

  /** What is unanswered there is asked again elsewhere; the stream stays for a while, for it may still answer. */
  #leavePrimary(): void {
    const silent = this.#primary;
    if (!silent) return;
    debug("no answer from %s, trying the next endpoint", silent.endpoint.url);
    this.#lastEndpoint = silent.endpoint;
    this.#primary = undefined;
    if (silent.isOpen) this.#retire(silent);
    else {
      // It waits for a connection. That goes on, for whoever comes back to this endpoint: it may be the only one.
      this.#protocol.streamFailed(silent.endpoint, "broken");
      silent.close();
    }
    const next = this.#openPrimary();
    for (const id of silent.unanswered.keys()) if (this.#kept.has(id)) next.renew(id);
  }

  #retire(silent: RenewalStream): void {
    this.#protocol.streamFailed(silent.endpoint, "silent");
    this.#retired.add(silent);
    if (this.#retired.size <= MOST_RETIRED) return;
    const [oldest] = this.#retired;
    if (oldest) this.#drop(oldest);
  }

  #answered(stream: RenewalStream, response: LeaseKeepAliveResponse, sentMs: number): void {
    if (stream === this.#primary) {
      this.#protocol.streamWorked(stream.endpoint);
      this.#lastEndpoint = undefined;
      this.#backoff.succeeded();
    } else if (stream.unanswered.size === 0) {
      this.#drop(stream);
    }
    const kept = this.#kept.get(response.id);
    if (!kept) return;
    if (response.ttlSeconds <= 0) {
      kept.lease.lose(new LeaseLostError(`lease ${response.id} is not known to etcd any more`));
      return;
    }
    kept.lease.deadline.acknowledged(sentMs, response.ttlSeconds);
    kept.renewAtMs = sentMs + kept.lease.renewEveryMs;
    this.#wakeAt(kept.renewAtMs);
  }

  #ended(stream: RenewalStream, error: EtcdError): void {
    debug("the stream on %s ended: %s", stream.endpoint.url, error.message);
    this.#protocol.streamFailed(stream.endpoint, "broken");
    const now = this.#runtime.clock.elapsedMs();
    for (const id of stream.unanswered.keys()) {
      const kept = this.#kept.get(id);
      if (kept) kept.renewAtMs = Math.min(kept.renewAtMs, now);
    }
    if (stream === this.#primary) {
      this.#primary = undefined;
      this.#lastEndpoint = stream.endpoint;
      this.#pause = { sinceMs: now, forMs: this.#backoff.nextMs() };
    }
    this.#retired.delete(stream);
    this.#schedule();
  }

  /** No pause takes more than a quarter of what the most urgent lease had left. */
  #openAtMs(): number {
    const { sinceMs, forMs } = this.#pause;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { lease } of this.#kept.values()) firstMs = Math.min(firstMs, lease.deadline.atMs);
    return sinceMs + shortened(forMs, firstMs - sinceMs);
  }

  #drop(stream: RenewalStream): void {
    this.#retired.delete(stream);
    stream.close();
  }

  #schedule(): void {
    const now = this.#runtime.clock.elapsedMs();
    const openAtMs = this.#primary ? 0 : this.#openAtMs();
    for (const { lease, renewAtMs } of this.#kept.values()) {
      this.#wakeAt(lease.deadline.atMs);
      const asked = this.#primary?.unanswered.get(lease.id);
      if (asked) this.#wakeAt(Math.max(now + SMALLEST_STEP_MS, asked.askedMs + silenceLimitMs(lease)));
      else this.#wakeAt(Math.max(renewAtMs, openAtMs));
    }
    // Timers stand still while the machine is suspended.
    this.#wakeAt(now + LOOK_EVERY_MS);
  }

  #wakeAt(atMs: number): void {
    if (this.#kept.size === 0 || atMs >= this.#timerAtMs) return;
    const now = this.#runtime.clock.elapsedMs();
    const atLeast = Math.max(atMs, now + (this.#timer ? SMALLEST_STEP_MS : 0));
    if (atLeast >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atLeast;
    this.#timer = this.#runtime.clock.timer(atLeast - now, () => this.#look());
  }

  /**
   * The machine was suspended, a virtual one was moved, or the clock was set. What is left of a lease is known by other
   * clocks; but a hypervisor can hide its pauses from all of them, and then only etcd can tell whether the lease is alive.
   */
  #wallRanAhead(): boolean {
    const { clock } = this.#runtime;
    const aheadMs = clock.wallMs() - clock.monotonicMs();
    const ranAhead = aheadMs - this.#wallAheadMs > RAN_AHEAD_MS;
    this.#wallAheadMs = aheadMs;
    return ranAhead;
  }

  #streams(): RenewalStream[] {
    return this.#primary ? [this.#primary, ...this.#retired] : [...this.#retired];
  }
}

function silenceLimitMs(lease: HeldLease): number {
  return Math.min(1_000, ttlMs(lease) / 6);
}

function ttlMs({ ttlSeconds }: HeldLease): number {
  return ttlSeconds * 1_000;
}
