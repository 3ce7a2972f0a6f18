import { TlsError, type WatchResponse } from "../connection/index.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { Backoff } from "../internal/backoff.ts";
import { channels } from "../internal/channels.ts";
import { isRefusal } from "../internal/refusal.ts";
import type { Runtime } from "../internal/runtime.ts";
import { keyName, prefixName } from "../model/key-name.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { WatchBatch, WatchEvent, WatchFilter } from "../model/watch-event.ts";
import type { HistoryEvidence } from "./history-evidence.ts";
import type { KeySpace } from "./key-space.ts";

export interface FeedSpec {
  readonly range: KeyRange;
  /** Where its keys are. @default where those of the hub are */
  readonly space?: KeySpace | undefined;
  readonly previous: boolean;
  /** The events that are not wanted. @default none */
  readonly filters?: readonly WatchFilter[] | undefined;
  /** The feed begins with the first event after this revision. */
  readonly afterRevision: number;
  /** The stream that was open before what `evidence` says was read: on it nothing has to be proved. */
  readonly provenOn: object | undefined;
  /** Whether refusals are waited out from the start, as they are once the feed was live. @default false */
  readonly waitsOutRefusals?: boolean;
  /**
   * Whether its owner also looks, again and again: what an old server leaves out of the first events, it finds so. Then
   * the range is asked for once, see `WatchHub`. @default false
   */
  readonly isLookedAt?: boolean;
  /** What proves that etcd's history is still the same; undefined while there is nothing to prove. */
  evidence(): HistoryEvidence | undefined;
  /** The server follows the range from now on; called again after each resumption. */
  onLive(): void;
  /** The stream broke, or none comes up; the feed resumes by itself. */
  onStale(error: EtcdError): void;
  onBatch(batch: WatchBatch): void;
  /** The feed is over: compacted, another history, refused before it was live, the client closed. Nothing follows. */
  onEnd(error: EtcdError): void;
}

/**
 * One logical watch across all reconnects. It resumes after the last whole revision that it received, or after a
 * periodic progress response with its own id; never after a header revision of anything else (GUARANTEES 5).
 */
export class WatchFeed {
  readonly spec: FeedSpec;
  #revision: number;
  #fragments: WatchEvent[] | undefined;
  #wasCreated = false;
  #wasLive = false;
  #staleSinceMs: number | undefined;
  readonly #runtime: Runtime;
  // What follows is made when it is needed: of thousands of feeds most never break.
  /** Why there is no stream, as far as it was reported since the feed was live. */
  #reported: Set<string> | undefined;
  #backoff: Backoff | undefined;
  #ending: AbortController | undefined;
  /** How often etcd has refused it since it was live. */
  refusals = 0;
  #over = false;

  constructor(spec: FeedSpec, runtime: Runtime) {
    this.spec = spec;
    this.#runtime = runtime;
    this.#revision = spec.afterRevision;
  }

  /** The pauses after refusals. */
  get backoff(): Backoff {
    this.#backoff ??= new Backoff(this.#runtime, { initialMs: 200 });
    return this.#backoff;
  }

  /** Everything up to here has been delivered. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether a server has followed the range before, on whatever stream. */
  get wasCreated(): boolean {
    return this.#wasCreated;
  }

  /** Whether it goes on after this error: it passes, or an operator corrects it on the server. */
  survives(error: unknown): boolean {
    if (error instanceof EtcdError && error.retryable) return true;
    return isRefusal(error) && (this.#wasLive || this.spec.waitsOutRefusals === true);
  }

  get over(): boolean {
    return this.#over;
  }

  /** Aborts when the feed is over. */
  get signal(): AbortSignal {
    this.#ending ??= new AbortController();
    if (this.#over) this.#ending.abort();
    return this.#ending.signal;
  }

  receive(response: WatchResponse): void {
    if (this.over) return;
    const fresh = this.#fresh(response.events);
    if (response.fragment || this.#fragments) {
      this.#fragments ??= [];
      for (const event of fresh) this.#fragments.push(event);
      if (response.fragment) return;
    }
    const events = this.#fragments ?? fresh;
    this.#fragments = undefined;
    const last = events.at(-1);
    if (last) this.#deliver({ type: "events", revision: last.kv.modRevision, events }, response.headerRevision);
    else if (response.events.length === 0 && response.headerRevision > this.#revision) {
      this.#deliver({ type: "progress", revision: response.headerRevision, events: [] }, response.headerRevision);
    }
  }

  /** Servers before 3.5.8 can send events again. */
  #fresh(events: readonly WatchEvent[]): readonly WatchEvent[] {
    const isFresh = ({ kv }: WatchEvent) => kv.modRevision > this.#revision;
    return events.every(isFresh) ? events : events.filter(isFresh);
  }

  created(): void {
    this.#wasCreated = true;
  }

  live(): void {
    if (this.over) return;
    if (this.#wasLive && channels.resumptions.heard) this.#resumed();
    this.#staleSinceMs = undefined;
    this.#wasLive = true;
    this.refusals = 0;
    this.#backoff?.succeeded();
    this.#reported = undefined;
    this.spec.onLive();
  }

  /**
   * No stream comes up; each reason is reported once. A feed that was live has reported already that something broke,
   * but not that a person has to see to a certificate, a password or a role.
   */
  unreachable(error: EtcdError): void {
    const needsPerson = error instanceof TlsError || isRefusal(error);
    if (this.over || this.#reported?.has(error.message) || (this.#wasLive && !needsPerson)) return;
    this.#report(error);
    this.spec.onStale(error);
  }

  /** etcd refused the feed, which waits until an operator has corrected that. */
  refused(error: EtcdError): void {
    this.#report(error);
    this.stale(error);
  }

  /** What came of an unfinished revision is forgotten: the whole of it comes again. */
  stale(error: EtcdError): void {
    this.#fragments = undefined;
    this.#staleSinceMs ??= this.#runtime.clock.monotonicMs();
    if (!this.over) this.spec.onStale(error);
  }

  end(error: EtcdError): void {
    if (this.over) return;
    this.drop();
    this.spec.onEnd(error);
  }

  /** Ends it without a word. */
  drop(): void {
    this.#over = true;
    this.#ending?.abort();
  }

  #report(error: EtcdError): void {
    this.#reported ??= new Set();
    this.#reported.add(error.message);
  }

  #resumed(): void {
    const { range } = this.spec;
    const nowMs = this.#runtime.clock.monotonicMs();
    const downMs = nowMs - (this.#staleSinceMs ?? nowMs);
    channels.resumptions.publish({
      range: keyName(range),
      prefix: prefixName(range),
      revision: this.#revision,
      downMs,
    });
  }

  #deliver(batch: WatchBatch, serverRevision: number): void {
    this.#revision = batch.revision;
    if (channels.watchBatches.heard) {
      const { range } = this.spec;
      channels.watchBatches.publish({
        range: keyName(range),
        prefix: prefixName(range),
        events: batch.events.length,
        revision: batch.revision,
        lagRevisions: Math.max(0, serverRevision - batch.revision),
      });
    }
    this.spec.onBatch(batch);
  }
}
