import type { LeaseKeepAliveResponse, Protocol, StreamEndpoint } from "../connection/index.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import { LeaseLostError } from "../errors/lease-lost-error.ts";
import { Backoff, shortened } from "../internal/backoff.ts";
import { channels } from "../internal/channels.ts";
import type { Timer } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { HeldLease } from "./held-lease.ts";
import { KeptLeases } from "./kept-leases.ts";
import { RenewalStream } from "./renewal-stream.ts";
import { WallClockWatch } from "./wall-clock-watch.ts";

const debug = log("lease");

/** Timers closer together than this are one. */
const SMALLEST_STEP_MS = 20;
/** With less than this of its TTL left a lease waits no longer for a slow stream. */
const DANGER = 0.3;
/** A timer that fires so much later than it should says that the event loop was blocked. */
const LATE_MS = 250;
/**
 * How often it looks at the clocks: a suspended machine, and one that was moved, are found out this soon after they go
 * on.
 */
const LOOK_EVERY_MS = 1_000;
/** Streams that were left behind and may still answer. */
const MOST_RETIRED = 4;

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
 * A renewal that waits in a follower for a dead leader blocks its stream for seconds, and with it every lease on it: so
 * a silent stream is left at once, but not closed before the lease's fate is known. A broken stream, or "no leader",
 * says nothing about the lease. One timer for all leases; no stream and no timer when there are none. Renewals that are
 * due at about the same time are sent in one turn of the event loop, the earliest deadline first.
 */
export class LeaseKeeper {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #dialLimitMs: number;
  readonly #kept = new KeptLeases();
  readonly #wallClock: WallClockWatch;
  readonly #retired = new Set<RenewalStream>();
  readonly #backoff: Backoff;
  #primary: RenewalStream | undefined;
  #lastEndpoint: StreamEndpoint | undefined;
  /** The pause after a stream that broke. */
  #pause = { sinceMs: 0, forMs: 0 };
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #wasLate = false;

  constructor(protocol: Protocol, dialLimitMs: number, runtime: Runtime) {
    this.#protocol = protocol;
    this.#dialLimitMs = dialLimitMs;
    this.#runtime = runtime;
    this.#wallClock = new WallClockWatch(runtime.clock);
    this.#backoff = new Backoff(runtime, { initialMs: 30, maxMs: 1_000 });
  }

  keep(lease: HeldLease, renewAtMs: number): void {
    if (this.#kept.size === 0) this.#wallClock.start();
    this.#kept.add(lease, renewAtMs);
    this.#schedule();
    this.#wakeAt(this.#runtime.clock.elapsedMs() + LOOK_EVERY_MS);
  }

  /** Takes the lease out of renewal. */
  forget(lease: HeldLease): void {
    if (!this.#kept.delete(lease)) return;
    for (const stream of this.#streams()) stream.forget(lease.id);
    if (this.#kept.size === 0) this.close();
  }

  close(): void {
    this.#kept.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (const stream of this.#streams()) stream.close();
    this.#primary = undefined;
    this.#retired.clear();
  }

  /** Ends what is past its deadline, renews what is due, leaves a stream that does not answer. */
  #look(): void {
    const now = this.#runtime.clock.elapsedMs();
    const lateMs = now - this.#timerAtMs;
    this.#timer = undefined;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const late = lateMs > LATE_MS;
    if (late) debug("the event loop was blocked for about %d ms", Math.round(lateMs));
    for (let over = this.#kept.endedBy(now); over; over = this.#kept.endedBy(now)) {
      const stall = late ? `; the event loop was blocked for about ${inMs(lateMs)}` : "";
      this.forget(over);
      over.lose(new LeaseLostError(`lease ${over.id} was not renewed within its ${over.ttlSeconds} s${stall}`));
    }
    if (this.#wallClock.ranAhead()) for (const lease of this.#kept.all) this.#renewNow(lease, now);
    // After a block the answers may be here and unread: look at them first, but do not put it off again and again.
    this.#renewDue(now, late && !this.#wasLate);
    this.#wasLate = late;
    this.#schedule();
    // Timers stand still while the machine is suspended.
    this.#wakeAt(now + LOOK_EVERY_MS);
  }

  /** @param patient answers may be here and unread */
  #renewDue(now: number, patient: boolean): void {
    if (!this.#primary && now < this.#openAtMs()) return;
    const due: HeldLease[] = [];
    let silent = false;
    for (let lease = this.#kept.dueBy(now); lease; lease = this.#kept.dueBy(now)) {
      const asked = this.#primary?.unanswered.get(lease.id);
      if (!asked) due.push(lease);
      else if (!patient && this.#waitsTooLong(lease, asked.askedMs, now)) silent = true;
      this.#kept.lookAgainAt(lease, this.#judgedAtMs(lease, asked?.askedMs ?? now, now));
    }
    if (silent) for (const lease of this.#leavePrimary()) due.push(lease);
    if (due.length === 0) return;
    due.sort((a, b) => a.deadline.atMs - b.deadline.atMs);
    this.#openPrimary().renew(due.map(({ id }) => id));
  }

  /** Unless it is asked for already. */
  #renewNow(lease: HeldLease, now: number): void {
    if (!this.#primary?.unanswered.has(lease.id)) this.#kept.lookAgainAt(lease, now);
  }

  #openPrimary(): RenewalStream {
    if (this.#primary) return this.#primary;
    const endpoint = this.#protocol.streamEndpoints(this.#lastEndpoint)[0] as StreamEndpoint;
    debug("renewing on %s", endpoint.url);
    this.#primary = new RenewalStream(this.#protocol, endpoint, this.#dialLimitMs, {
      nowMs: () => this.#runtime.clock.elapsedMs(),
      worked: (stream) => this.#worked(stream),
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
  #waitsTooLong(lease: HeldLease, askedMs: number, now: number): boolean {
    const limitMs = silenceLimitMs(lease);
    if (now < askedMs + limitMs) return false;
    return now >= (this.#primary?.heardMs ?? 0) + limitMs || now > inDangerMs(lease);
  }

  /** When an unanswered renewal may be waiting for too long, as things stand. */
  #judgedAtMs(lease: HeldLease, askedMs: number, now: number): number {
    const limitMs = silenceLimitMs(lease);
    const stuckMs = (this.#primary?.heardMs ?? Number.NEGATIVE_INFINITY) + limitMs;
    return Math.max(now + SMALLEST_STEP_MS, askedMs + limitMs, Math.min(stuckMs, inDangerMs(lease)));
  }

  /** The stream stays for a while, for it may still answer. @returns what is to be asked again elsewhere */
  #leavePrimary(): HeldLease[] {
    const silent = this.#primary;
    if (!silent) return [];
    debug("no answer from %s, trying the next endpoint", silent.endpoint.url);
    this.#lastEndpoint = silent.endpoint;
    this.#primary = undefined;
    if (silent.isOpen) this.#retire(silent);
    else {
      // It waits for a connection. That goes on, for a lease that comes back to this endpoint: it may be the only one.
      this.#protocol.streamFailed(silent.endpoint, "broken");
      silent.close();
    }
    const unanswered = [...silent.unanswered.keys()].flatMap((id) => this.#kept.get(id) ?? []);
    const now = this.#runtime.clock.elapsedMs();
    for (const lease of unanswered) this.#kept.lookAgainAt(lease, now + silenceLimitMs(lease));
    return unanswered;
  }

  #retire(silent: RenewalStream): void {
    this.#protocol.streamFailed(silent.endpoint, "silent");
    this.#retired.add(silent);
    if (this.#retired.size <= MOST_RETIRED) return;
    const [oldest] = this.#retired;
    if (oldest) this.#drop(oldest);
  }

  #worked(stream: RenewalStream): void {
    if (stream !== this.#primary) return;
    this.#protocol.streamWorked(stream.endpoint);
    this.#lastEndpoint = undefined;
    this.#backoff.succeeded();
  }

  #answered(stream: RenewalStream, response: LeaseKeepAliveResponse, sentMs: number): void {
    if (stream !== this.#primary && stream.unanswered.size === 0) this.#drop(stream);
    const lease = this.#kept.get(response.id);
    if (!lease) return;
    if (response.ttlSeconds <= 0) {
      lease.lose(new LeaseLostError(`lease ${response.id} is not known to etcd any more`));
      return;
    }
    const { heard } = channels.leaseRenewed;
    const marginMs = heard ? lease.deadline.remainingMs() : 0;
    lease.deadline.acknowledged(sentMs, response.ttlSeconds);
    if (heard) {
      const answerMs = this.#runtime.clock.elapsedMs() - sentMs;
      const { id: leaseId, ttlSeconds, deadline } = lease;
      channels.leaseRenewed.publish({ leaseId, ttlSeconds, marginMs, remainingMs: deadline.remainingMs(), answerMs });
    }
    // While another renewal of it is under way, the time to look at that one stays.
    if (!this.#primary?.unanswered.has(lease.id)) this.#kept.renewed(lease, sentMs);
    this.#schedule();
  }

  #ended(stream: RenewalStream, error: EtcdError): void {
    debug("the stream on %s ended: %s", stream.endpoint.url, error.message);
    this.#protocol.streamFailed(stream.endpoint, "broken");
    const now = this.#runtime.clock.elapsedMs();
    if (stream === this.#primary) {
      this.#primary = undefined;
      this.#lastEndpoint = stream.endpoint;
      this.#pause = { sinceMs: now, forMs: this.#backoff.nextMs() };
    }
    this.#retired.delete(stream);
    for (const id of stream.unanswered.keys()) {
      const lease = this.#kept.get(id);
      if (lease) this.#renewNow(lease, now);
    }
    this.#schedule();
  }

  /** No pause takes more than a quarter of what the most urgent lease had left. */
  #openAtMs(): number {
    const { sinceMs, forMs } = this.#pause;
    return sinceMs + shortened(forMs, this.#kept.firstEndMs - sinceMs);
  }

  #drop(stream: RenewalStream): void {
    this.#retired.delete(stream);
    stream.close();
  }

  #schedule(): void {
    const { nextMs, noEndBeforeMs } = this.#kept;
    this.#wakeAt(Math.min(noEndBeforeMs, this.#primary ? nextMs : Math.max(nextMs, this.#openAtMs())));
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

  #streams(): RenewalStream[] {
    return this.#primary ? [this.#primary, ...this.#retired] : [...this.#retired];
  }
}

function silenceLimitMs(lease: HeldLease): number {
  return Math.min(1_000, ttlMs(lease) / 6);
}

/** From then on a renewal waits no longer on a slow stream. */
function inDangerMs(lease: HeldLease): number {
  return lease.deadline.atMs - ttlMs(lease) * DANGER;
}

function ttlMs({ ttlSeconds }: HeldLease): number {
  return ttlSeconds * 1_000;
}
