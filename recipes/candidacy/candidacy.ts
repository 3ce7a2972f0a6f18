import {
  type CallOptions,
  compareCreateRevision,
  compareModRevision,
  type EtcdClient,
  type EtcdTimeoutError,
  getOp,
  type KeyValue,
  keyMissing,
  type Lease,
  LeaseNotFoundError,
  type Op,
  type OpResult,
  prefix,
  putOp,
  rangeOp,
  type TxnAnswer,
  type TxnOptions,
} from "../../src/index.ts";
import {
  abortable,
  asError,
  deadlineSignal,
  inMs,
  log,
  onAbort,
  timedCalls,
  waitedInVain,
} from "../../src/internal/index.ts";
import { FencedOutError } from "../errors/index.ts";
import { untilGone } from "../follow/index.ts";
import { WarnOnce } from "../retries/index.ts";
import { fencedTxn, toTxnOptions } from "./fenced-txn.ts";

const debug = log("candidacy");

/** How long etcd may take when a candidacy is left, and never longer than the TTL: by then the key is gone anyway. */
const LEAVE_LIMIT_MS = 5_000;

/**
 * One place in the line below a name: one lease, one key on it, `<name>/<lease id>`, as Go's `concurrency` writes it.
 * The lowest createRevision is first, and what is first holds what all wait for.
 *
 * ```
 *   entered ──key put──▶ waiting ──none is ahead, own key read back, time left──▶ first
 *   any ──lease lost, key deleted or made anew, end()──▶ over, for good          over ──leave()──▶ gone from etcd
 * ```
 *
 * `signal` aborts when it is over; reading `aborted` compares the lease's clock.
 */
export class Candidacy {
  readonly key: string;
  readonly signal: AbortSignal;
  readonly #etcd: EtcdClient;
  readonly #name: string;
  readonly #value: string;
  readonly #lease: Lease;
  readonly #warnings: WarnOnce;
  readonly #onWarning = (error: Error) => this.#warnings.warn(error);
  readonly #controller = new AbortController();
  #token = 0;
  #modRevision = 0;
  #proclaimed: Promise<void> = Promise.resolve();
  #gone: Promise<void> | undefined;

  /**
   * @param lease of its own: what shares a lease ends with it, and what shares a txn has the same createRevision
   * @param warnings what etcd refuses, and a candidacy in line goes on trying
   */
  constructor(etcd: EtcdClient, name: string, value: string, lease: Lease, warnings = new WarnOnce(() => {})) {
    this.#etcd = etcd;
    this.#name = name;
    this.#value = value;
    this.#lease = lease;
    this.#warnings = warnings;
    this.key = `${name}/${lease.id}`;
    this.signal = deadlineSignal(this.#controller, () => {
      if (lease.signal.aborted) this.#end(lease.signal.reason);
    });
    // At once if it is lost already.
    onAbort(lease.signal, () => this.#end(lease.signal.reason));
  }

  /** The fencing token: the key's createRevision. 0 before it is in line. */
  get token(): number {
    return this.#token;
  }

  /** Whether the key is in etcd, or was. */
  get isInLine(): boolean {
    return this.#token > 0;
  }

  /** How long the lease is certain to live, in milliseconds. */
  remainingMs(): number {
    return this.#lease.remainingMs();
  }

  /**
   * Gets in line, and waits until none is ahead. After a failure it can be called again: the place in line is kept.
   *
   * @throws the reason of `signal` when it is over; EtcdError when etcd cannot be asked
   */
  async untilFirst(): Promise<void> {
    await this.#join();
    for (;;) {
      const ahead = await this.#ahead();
      this.#warnings.worked();
      if (!ahead) return;
      debug("%s waits for %s", this.key, ahead.key);
      await untilGone(this.#etcd, ahead, this.signal, this.#onWarning);
    }
  }

  /**
   * Gets in line, and says whether none is ahead.
   *
   * @throws the reason of `signal` when it is over; EtcdError when etcd cannot be asked
   */
  async isFirst(): Promise<boolean> {
    await this.#join();
    return (await this.#ahead()) === undefined;
  }

  /**
   * Executes `request` as one txn, if the own key is still the one that the token is of. What the request compares
   * stands in a txn within it: `succeeded` is about that.
   *
   * @throws FencedOutError when it is not, or when `signal` reads aborted: nothing was written. After any other error
   *   with `outcomeUnknown: true` it may have been
   */
  async txn(request: TxnOptions | readonly Op[], options?: CallOptions): Promise<TxnAnswer> {
    const fenced = toTxnOptions(request);
    this.#checkHeld();
    const answer = await fencedTxn(this.#etcd, this.#own(), fenced, options);
    if (!answer) throw this.#fencedOut();
    return answer;
  }

  /**
   * Puts another value under the own key. One after the other: an earlier one that timed out never lands over a later
   * one.
   *
   * @param options hold for all of it, the wait for earlier ones included
   * @throws FencedOutError when the key is not held any more; EtcdError when etcd cannot be asked; EtcdTimeoutError.
   *   After an error with `outcomeUnknown: true`, or an abort, it may have been put, or be put later
   */
  proclaim(value: string, options: CallOptions = {}): Promise<void> {
    const earlier = this.#proclaimed;
    const proclaiming = timedCalls(this.#etcd, `the proclamation of ${this.key}`, options, async (limit) => {
      await abortable(earlier, limit.signal).catch((error) => {
        throw error === options.signal?.reason ? error : this.#notBegun(options.timeoutMs);
      });
      await this.#put(value, limit);
    });
    // Of one that did not wait to the end, the next one waits for what that waited for.
    this.#proclaimed = Promise.allSettled([earlier, proclaiming]).then(() => {});
    return proclaiming;
  }

  /**
   * It is over: `signal` aborts, then the renewal ends. The key stays until `leave()`, or until the lease has run out.
   */
  end(reason: unknown): void {
    this.#end(reason);
    this.#lease.lapse();
  }

  /** Takes it out of the line. Bounded, and never fails: what etcd does not confirm goes on in the background. */
  leave(): Promise<void> {
    this.end(new FencedOutError(`${this.key} was given up`));
    this.#gone ??= this.#leave();
    return this.#gone;
  }

  #end(reason: unknown): void {
    this.#controller.abort(reason);
  }

  async #leave(): Promise<void> {
    const timeoutMs = Math.min(LEAVE_LIMIT_MS, this.#lease.ttlSeconds * 1_000);
    try {
      await this.#lease.revoke({ timeoutMs });
    } catch (error) {
      debug("leaving %s: %s", this.key, asError(error).message);
    }
  }

  /** Puts the key. One that is there already is from an earlier attempt: it has the id of the own lease in it. */
  async #join(): Promise<void> {
    if (this.#token > 0) return;
    try {
      const { succeeded, revision, responses } = await this.#etcd.txn(
        {
          compare: [keyMissing(this.key)],
          success: [putOp(this.key, this.#value, { lease: this.#lease })],
          failure: [getOp(this.key)],
        },
        { signal: this.signal },
      );
      const found = firstOf(responses);
      this.#token = succeeded ? revision : (found?.createRevision ?? 0);
      this.#modRevision = succeeded ? revision : (found?.modRevision ?? 0);
    } catch (error) {
      if (error instanceof LeaseNotFoundError) this.#lease.abandon(error);
      throw error;
    }
    debug("%s is in line with token %d", this.key, this.#token);
    void this.#followKey();
  }

  /** The key that is next before the own one. Reads the own one with it: without it there is no place in line. */
  async #ahead(): Promise<KeyValue | undefined> {
    const { succeeded, responses } = await this.#etcd.txn(
      {
        compare: [this.#own()],
        success: [
          rangeOp(prefix(`${this.#name}/`), {
            sort: { target: "createRevision", order: "descend" },
            maxCreateRevision: this.#token - 1,
            limit: 1,
            keysOnly: true,
          }),
        ],
      },
      { signal: this.signal },
    );
    if (!succeeded) throw this.#fencedOut();
    // The answer may have taken longer than the lease had.
    this.signal.throwIfAborted();
    return firstOf(responses);
  }

  /** A key deleted by hand takes the place in line with it, although the lease lives. */
  async #followKey(): Promise<void> {
    const own = { keyBytes: new TextEncoder().encode(this.key), createRevision: this.#token };
    try {
      // While etcd refuses reads of the key, the lease decides.
      await untilGone(this.#etcd, own, this.signal, this.#onWarning);
      this.#fencedOut();
    } catch (error) {
      if (!this.signal.aborted) this.#lease.abandon(error);
    }
  }

  async #put(value: string, options: CallOptions): Promise<void> {
    for (;;) {
      this.#checkHeld();
      const { succeeded, revision, responses } = await this.#etcd.txn(
        {
          compare: [this.#own(), compareModRevision(this.key, "equal", this.#modRevision)],
          success: [putOp(this.key, value, { lease: this.#lease })],
          failure: [getOp(this.key)],
        },
        options,
      );
      const found = firstOf(responses);
      if (!succeeded && found?.createRevision !== this.#token) throw this.#fencedOut();
      this.#modRevision = succeeded ? revision : (found?.modRevision ?? 0);
      if (succeeded) return;
    }
  }

  #notBegun(timeoutMs = 0): EtcdTimeoutError {
    const problem = `an earlier proclamation of ${this.key} did not end within ${inMs(timeoutMs)}`;
    return waitedInVain(this.#etcd, problem, { retryable: true });
  }

  #own() {
    return compareCreateRevision(this.key, "equal", this.#token);
  }

  #checkHeld(): void {
    if (!this.signal.aborted) return;
    const cause = this.signal.reason;
    throw new FencedOutError(`${this.key} is no longer held: ${asError(cause).message}`, { cause });
  }

  /** The key is not the one any more that the token is of: whatever the lease says, it is over. */
  #fencedOut(): FencedOutError {
    const error = new FencedOutError(`${this.key} is gone from etcd, or was made anew since token ${this.#token}`);
    this.#lease.abandon(error);
    return error;
  }
}

function firstOf([answer]: readonly OpResult[]): KeyValue | undefined {
  return answer?.type === "range" ? answer.kvs[0] : undefined;
}
