import type { CallOptions, MirrorBatch, MirrorStatus } from "../../src/index.ts";
import { asError, onAbort, type Runtime, runtimeOf, showAs } from "../../src/internal/index.ts";
import { type FollowNews, PrefixFollower } from "../follow/index.ts";
import { resolveCall } from "../option-schemas/index.ts";
import { type CommonEvents, Notifier, recipeClient } from "../recipe/index.ts";
import type { ConfirmationResult, PendingConfirmation } from "./confirmation-result.ts";
import { ConfirmationStore } from "./confirmation-store.ts";
import { asPending, type ConfirmationNews, ConfirmationView } from "./confirmation-view.ts";
import { decideFor } from "./decide.ts";
import {
  type ConfirmationOptions,
  type ConfirmationRequestOptions,
  resolveConfirmation,
  resolveDecision,
  resolveRequest,
} from "./options.ts";
import { readRequest } from "./records.ts";
import { RequestLoop } from "./request-loop.ts";

/**
 * `connecting`: no list yet. `live`: every request and decision comes. `stale`: etcd is out of reach; what
 * happens meanwhile comes when it is back. `failed`, `closed`: the end.
 */
export type ConfirmationStatus = MirrorStatus;

export interface ConfirmationEvents extends CommonEvents {
  /**
   * A decision is asked for. Those that wait at the start too, and again what was written again into a wiped etcd.
   */
  requested: [pending: PendingConfirmation];
  /** A confirmation was decided, or timed out. Those that etcd still keeps at the start too. */
  decided: [id: string, result: ConfirmationResult];
  status: [status: ConfirmationStatus];
}

/**
 * Asks people, or anybody, for a yes or no, with a time-out; whichever process dies in between.
 *
 * ```ts
 * const confirmation = new Confirmation("/pipeline/confirm/");
 * const { decision, by } = await confirmation.request("run-1/deploy", { timeoutSeconds: 3600 });
 * // elsewhere
 * await confirmation.approve("run-1/deploy", "alice");
 * ```
 *
 * ```
 *   (nothing) ──request──▶ waiting ──approve, reject──▶ approved, rejected ──retainSeconds──▶ (nothing)
 *                             │ time-out lease ended, or deadline past: who sees it says so
 *                             └───────────────────────▶ timeout
 * ```
 *
 * Guaranteed: there is one decision, the first one, and all who ask get that one: requester and approver never end
 * apart, also when they race, restart, or lose their links in between. A time-out is a decision like the others: it
 * stands in etcd before anybody hears of it. `request()` on an id that runs picks it up with the time it has left,
 * and on one that was decided returns the decision. A request that a wiped etcd forgot is written again with the time
 * it has left.
 *
 * Not guaranteed: that it times out at the deadline. While no requester runs, there is no look, and until one does
 * it can still be decided: the time-out lease ends late by a 32nd and two seconds, by four more where etcd is slow to
 * grant it, and by a leader change in etcd later. A process that picks a request up compares the deadline with its own
 * clock. A requester that is away for longer than `retainSeconds` finds nothing, and asks anew. A decision that a wiped
 * etcd forgot before its requester saw it is asked for anew.
 *
 * Ids are one-shot: as long as etcd keeps the decision, an id has that one.
 *
 * Errors that end it, by `failed` and by rejecting `ready` and the requests that wait: before `ready`,
 * `PermissionDeniedError` and `UnauthenticatedError`; at any time `ClientClosedError`. An etcd that is out of reach is
 * retried for ever; `status` and `warning` say so. A role, a user or a password that is missing after `ready`, or after
 * a request was opened, is retried so too, after pauses that grow to 30 s. A key under the prefix that cannot be read
 * is a `warning` and hurts no other confirmation.
 */
export class Confirmation extends Notifier<ConfirmationEvents> implements AsyncDisposable {
  static {
    showAs(Confirmation, "Confirmation", (it) => ({ prefix: it.prefix, status: it.status }));
  }

  /** What is followed, always with a slash at its end. */
  readonly prefix: string;
  /**
   * Resolves when the first list was emitted and is followed, however long that takes; rejects when it never will be.
   * It may be left unused: no call waits for it.
   */
  readonly ready: Promise<void>;
  readonly #runtime: Runtime;
  readonly #store: ConfirmationStore;
  readonly #view: ConfirmationView;
  readonly #follower: PrefixFollower;
  readonly #loops = new Map<string, Set<RequestLoop>>();

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix where the confirmations stand; `/pipeline/confirm` is read as `/pipeline/confirm/`; at most 65536
   *   bytes
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: ConfirmationOptions = {}) {
    const resolved = resolveConfirmation(prefix, options);
    const client = recipeClient(resolved.client);
    const runtime = runtimeOf(client.etcd);
    super(runtime.clock);
    this.prefix = resolved.prefix;
    this.#runtime = runtime;
    this.#store = new ConfirmationStore(client.etcd, this.prefix, resolved.retainSeconds);
    this.#view = new ConfirmationView(this.prefix);
    this.#follower = new PrefixFollower({
      what: "the confirmation",
      prefix: this.prefix,
      client,
      mirror: "shared",
      onNews: (news) => this.#followed(news),
    });
    this.ready = this.#follower.ready;
  }

  get status(): ConfirmationStatus {
    return this.#follower.status;
  }

  /**
   * Asks for a decision and waits for it; picks up what is there already. An etcd that is out of reach is waited for,
   * also past the deadline: what is returned stands in etcd.
   *
   * @throws InvalidOptionError; `signal.reason`, then the request stays and can be decided; ClientClosedError when
   *   closed meanwhile, likewise; the failure after `failed`; InvalidValueError when there is a decision that
   *   cannot be read
   */
  async request(id: string, options: ConfirmationRequestOptions): Promise<ConfirmationResult> {
    const { timeoutSeconds, signal } = resolveRequest(id, options);
    const { ended } = this.#follower;
    signal?.throwIfAborted();
    ended.throwIfAborted();
    const loop = new RequestLoop({
      id,
      timeoutSeconds,
      store: this.#store,
      runtime: this.#runtime,
      seenRunning: () => this.#view.isRunning(id),
      onWarning: (error) => this.#warn(error),
    });
    const ending = new AbortController();
    const releases = [signal, ended].map((source) => onAbort(source, () => ending.abort(source?.reason)));
    const loops = this.#loops.get(id) ?? new Set();
    this.#loops.set(id, loops.add(loop));
    try {
      return await loop.run(ending.signal);
    } finally {
      for (const release of releases) release();
      loops.delete(loop);
      if (loops.size === 0) this.#loops.delete(id);
    }
  }

  /**
   * Approves; resolves when that is the decision. A write whose outcome is unknown is repeated within the call's time:
   * `timeoutMs`, 5 s by default, whatever the client's `requestTimeoutMs`.
   *
   * @param by who decided
   * @throws AlreadyDecidedError when it was decided before, or its time is over; NotRequestedError; InvalidOptionError;
   *   EtcdTimeoutError; `signal.reason`; ClientClosedError after `close()`; the failure after `failed`. After an error
   *   with `outcomeUnknown: true`, or an abort, it may be approved, or be yet
   */
  async approve(id: string, by: string, options: CallOptions = {}): Promise<void> {
    const { result, call } = resolveDecision("approved", id, by, undefined, options);
    this.#follower.ended.throwIfAborted();
    await decideFor(this.#store, id, result, call);
  }

  /**
   * Rejects; resolves when that is the decision. Otherwise as `approve()`.
   *
   * @param by who decided
   * @param reason what the requester gets
   */
  async reject(id: string, by: string, reason?: string, options: CallOptions = {}): Promise<void> {
    const { result, call } = resolveDecision("rejected", id, by, reason, options);
    this.#follower.ended.throwIfAborted();
    await decideFor(this.#store, id, result, call);
  }

  /**
   * Those that wait for a decision now, as etcd says, the most urgent first. Frozen. One that cannot be read is left
   * out, with a `warning`.
   */
  async pending(options: CallOptions = {}): Promise<readonly PendingConfirmation[]> {
    const call = resolveCall("Confirmation.pending", options);
    this.#follower.ended.throwIfAborted();
    const list: PendingConfirmation[] = [];
    for (const [id, { request, pending, decision }] of await this.#store.readAll(call)) {
      if (!request || !pending || decision) continue;
      try {
        list.push(asPending(id, readRequest(request)));
      } catch (error) {
        this.#warn(asError(error));
      }
    }
    return Object.freeze(list.sort((a, b) => a.deadline - b.deadline));
  }

  /**
   * Stops following. Requests that wait reject with a ClientClosedError, and stay in etcd. Calling it again is
   * harmless.
   */
  async close(): Promise<void> {
    await this.#follower.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #followed(news: FollowNews): void {
    if (news.type === "status") this.notify("status", news.status);
    else if (news.type === "warning") this.#warn(news.error);
    else if (news.type === "failed") this.notify("failed", news.error);
    else this.#apply(news);
  }

  #apply(batch: MirrorBatch): void {
    for (const news of this.#view.apply(batch)) this.#happened(news);
    // What a wiped etcd forgot may never have come by here.
    if (batch.type !== "changes") for (const id of this.#loops.keys()) this.#wake(id);
  }

  #wake(id: string): void {
    for (const loop of this.#loops.get(id) ?? []) loop.wake();
  }

  #happened(news: ConfirmationNews): void {
    if (news.type === "touched") this.#wake(news.id);
    else if (news.type === "warning") this.#warn(news.error);
    // A listener may have closed it.
    else if (this.#follower.ended.aborted) return;
    else if (news.type === "requested") this.notify("requested", news.pending);
    else this.notify("decided", news.id, news.result);
  }

  #warn(error: Error): void {
    if (!this.#follower.ended.aborted) this.notify("warning", error);
  }
}
