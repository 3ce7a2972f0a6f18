import type { EtcdError, KeyValue } from "../../src/index.ts";
import {
  endsRetries,
  isRefusal,
  type KeyFeeds,
  type KeyListener,
  keyFeedsOf,
  type Runtime,
} from "../../src/internal/index.ts";
import { RetryPause } from "../retries/index.ts";
import type { KeyStep } from "./key-step.ts";
import type { RegisteredKey } from "./registered-key.ts";
import type { StepAnswer } from "./step-sender.ts";

/** Whose key it is. */
export interface FollowedKeyOwner {
  readonly kept: RegisteredKey;
  /** Aborts when nothing is written any more. */
  readonly ended: AbortSignal;
  /** The end, by what no retry can change. */
  fail(error: Error): void;
}

/**
 * Gives the keeper of one key each change of it. It begins with the first answer that says what stands there, so it
 * has no list of its own, and where it cannot go on the keeper looks, and it begins again with the answer. What does
 * not come, the look of every 30 s finds out.
 */
export class KeyFollower implements KeyListener<KeyValue> {
  readonly #runtime: Runtime;
  readonly #owner: FollowedKeyOwner;
  readonly #feeds: KeyFeeds<KeyValue>;
  #offClosed = () => {};
  #unfollow: (() => void) | undefined;
  /** The pauses before the looks after an end: an etcd that is compacted again and again is not asked in a loop. */
  #pause: RetryPause | undefined;

  constructor(etcd: object, runtime: Runtime, owner: FollowedKeyOwner) {
    this.#runtime = runtime;
    this.#owner = owner;
    this.#feeds = keyFeedsOf(etcd);
  }

  start(): void {
    // At once: a closed client loses the lease next, and that is no loss any more.
    this.#offClosed = this.#feeds.onClosed((error) => this.#owner.fail(error));
  }

  /**
   * The stream of watches that is open now: what is asked from here on is answered by the history that it follows.
   * `answered()` needs it as it was before the step was sent.
   */
  get openStream(): object | undefined {
    return this.#feeds.openStream;
  }

  answered(step: KeyStep, answer: StepAnswer, provenOn: object | undefined): void {
    const { kept, ended } = this.#owner;
    if (this.#unfollow || ended.aborted) return;
    const state = stateAfter(step, answer);
    if (state) this.#unfollow = this.#feeds.follow(kept.keeper.key, { ...state, provenOn }, this);
  }

  /** As long as no answer has said what stands there, it is looked at first: a put alone would not find out. */
  unanswered(): void {
    if (!this.#unfollow) this.#owner.kept.keeper.look();
  }

  stop(): void {
    this.#offClosed();
    this.#pause?.cancel();
    this.#unfollow?.();
    this.#unfollow = undefined;
  }

  onKey(kv: KeyValue | undefined, revision: number): void {
    this.#owner.kept.keeper.seen(kv, revision, false);
  }

  onLive(): void {
    this.#pause?.succeeded();
  }

  /** It is followed again once that has passed. A look finds out what it means for the key. */
  onStale(error: EtcdError): void {
    if (!isRefusal(error)) return;
    const { keeper, life } = this.#owner.kept;
    life.warn(error);
    keeper.look();
  }

  onEnd(error: EtcdError): void {
    this.#unfollow = undefined;
    if (endsRetries(error, this.#owner.kept.life.hasWorked)) this.#owner.fail(error);
    else this.#lookSoon(error);
  }

  #lookSoon(cause: EtcdError): void {
    const { keeper, life } = this.#owner.kept;
    if (isRefusal(cause)) life.warn(cause);
    this.#pause ??= new RetryPause(this.#runtime, { initialMs: 100 });
    this.#pause.begin(() => keeper.look(), cause);
  }
}

/** What is known of the key by the answer; undefined where that is not all: the next one says it. */
function stateAfter(step: KeyStep, answer: StepAnswer) {
  const { revision } = answer;
  if (answer.type === "found") return { mark: answer.kv, revision };
  if (step.type !== "put" || step.over) return undefined;
  return { mark: { createRevision: revision, modRevision: revision, version: 1, lease: step.lease }, revision };
}
