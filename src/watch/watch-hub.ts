import type { Protocol, StreamEndpoint, WatchStream } from "../connection/index.ts";
import { ClientClosedError } from "../errors/client-closed-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import { HistoryLostError } from "../errors/history-lost-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { onAbort } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { type Deferred, deferred } from "../internal/deferred.ts";
import { log } from "../internal/log.ts";
import { isDenied, isRefusal } from "../internal/refusal.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { ServerLimits } from "../internal/server-limits.ts";
import { HistoryProofs } from "./history-proof.ts";
import type { KeySpace } from "./key-space.ts";
import { OpenStream } from "./open-stream.ts";
import { type FeedSpec, WatchFeed } from "./watch-feed.ts";

const debug = log("watch");

/**
 * A watch that is refused so often in a row, while its range can be read, is not refused for the token of its stream.
 */
const MOST_REFUSALS = 2;

/**
 * The one watch stream of a client, and every feed on it.
 *
 * ```
 *   no feeds ──first feed──▶ dialling ──open──▶ for each feed: prove its history ──▶ create ──▶ live
 *                               ▲                    │ another history, compacted ──▶ the feed ends
 *                               │                    │ refused ──▶ the feed ends; one that was live tries again, slowly
 *                               └──backoff, next endpoint──── the stream ends
 *   last feed gone ──▶ the stream is closed, nothing is left
 * ```
 *
 * Silence never ends a stream: its connection's pings show whether the server is there. Only a server that owes the
 * answer to a create request may not be silent for ever.
 */
export class WatchHub {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  readonly #dialLimitMs: number;
  readonly #space: KeySpace;
  readonly #feeds = new Set<WatchFeed>();
  readonly #backoff: Backoff;
  #running: AbortController | undefined;
  /** Ends the pause after a refusal: a new feed learns at once what comes of it. */
  #refusalPause: AbortController | undefined;
  #stream: OpenStream | undefined;
  #streamEnded: Deferred<EtcdError> | undefined;
  #closed: ClientClosedError | undefined;

  constructor(protocol: Protocol, dialLimitMs: number, runtime: Runtime, limits?: ServerLimits) {
    this.#protocol = protocol;
    this.#dialLimitMs = dialLimitMs;
    this.#runtime = runtime;
    const proofs = new HistoryProofs(protocol, runtime.clock, limits);
    this.#space = { namespace: new Uint8Array(), protocol, proofs };
    // A stream on which the server has spoken came all the way: when it breaks, the next attempt is soon again. One
    // that falls over before, as on a member without a leader, backs off (HARDSHIPS 13).
    this.#backoff = new Backoff(runtime, { initialMs: 100, stableMs: 0 });
  }

  /** Identifies the stream that is open now. What is read while it is open belongs to the history that it follows. */
  get openStream(): object | undefined {
    return this.#stream;
  }

  follow(spec: FeedSpec): WatchFeed {
    const feed = new WatchFeed(spec, this.#runtime);
    if (this.#closed) {
      feed.end(this.#closed);
      return feed;
    }
    this.#feeds.add(feed);
    if (this.#running) {
      if (this.#stream) void this.#attach(feed, this.#stream);
      else this.#refusalPause?.abort();
    } else {
      this.#running = new AbortController();
      void this.#run(this.#running.signal);
    }
    return feed;
  }

  unfollow(feed: WatchFeed): void {
    feed.drop();
    this.#remove(feed);
    this.#stream?.cancel(feed);
  }

  close(): void {
    this.#closed = new ClientClosedError("the client was closed");
    for (const feed of [...this.#feeds]) this.#end(feed, this.#closed);
  }

  /** Keeps a stream open as long as there are feeds. */
  async #run(signal: AbortSignal): Promise<void> {
    let last: StreamEndpoint | undefined;
    while (!signal.aborted) {
      const endpoint = this.#protocol.streamEndpoints(last)[0] as StreamEndpoint;
      last = endpoint;
      const ended = deferred<EtcdError>();
      let cause: unknown;
      try {
        const stream = await this.#open(endpoint, ended, signal);
        if (signal.aborted) {
          stream.close();
          return;
        }
        debug("following on %s", endpoint.url);
        this.#stream = stream;
        this.#streamEnded = ended;
        for (const feed of [...this.#feeds]) void this.#attach(feed, stream);
        const error = await ended.promise;
        if (signal.aborted) return;
        stream.close();
        this.#stream = undefined;
        this.#streamEnded = undefined;
        debug("the stream on %s ended: %s", endpoint.url, error.message);
        // That a token has expired is no fault of the endpoint.
        if (error.retryable && !isDenied(error.cause)) this.#protocol.streamFailed(endpoint, "broken");
        for (const feed of [...this.#feeds]) feed.stale(error);
      } catch (error) {
        debug("no stream on %s: %s", endpoint.url, (error as Error).message);
        if (signal.aborted) return;
        cause = error;
        if (error instanceof EtcdError) {
          for (const feed of [...this.#feeds]) {
            if (feed.survives(error)) feed.unreachable(error);
            else this.#end(feed, error);
          }
        }
      }
      await this.#pause(signal, cause);
    }
  }

  /** Never rejects. */
  async #pause(signal: AbortSignal, cause: unknown): Promise<void> {
    const pause = new AbortController();
    const release = onAbort(signal, () => pause.abort());
    this.#refusalPause = isRefusal(cause) ? pause : undefined;
    await this.#backoff.wait(pause.signal, { cause }).catch(() => {});
    this.#refusalPause = undefined;
    release();
  }

  async #open(endpoint: StreamEndpoint, ended: Deferred<EtcdError>, signal: AbortSignal): Promise<OpenStream> {
    let open: OpenStream | undefined;
    const stream: WatchStream = await this.#protocol.openWatch(
      endpoint,
      this.#dialLimitMs,
      {
        onMessage: (response) => {
          open?.receive(response);
          if (open && open === this.#stream) this.#heard(open);
        },
        onEnd: (error) => ended.resolve(error),
        namespaceBytes: (watchId) => open?.namespaceBytes(watchId) ?? 0,
      },
      signal,
    );
    const opened: OpenStream = new OpenStream(stream, this.#runtime.clock, {
      onCreated: (feed, start, serverRevision) => this.#created(feed, start, serverRevision, opened),
      onCancelled: (feed, error) => this.#cancelled(feed, error),
      onMute: () => this.#mute(opened),
    });
    open = opened;
    return opened;
  }

  /** Puts a feed on the stream, after etcd's history has proved to be the one that the feed knows. */
  async #attach(feed: WatchFeed, stream: OpenStream): Promise<void> {
    let backoff: Backoff | undefined;
    const current = () => !feed.over && this.#stream === stream;
    while (current()) {
      const evidence = feed.spec.provenOn === stream ? undefined : feed.spec.evidence();
      try {
        if (evidence) {
          const holds = await this.#spaceOf(feed).proofs.hold(feed.spec.range, evidence, { signal: feed.signal });
          if (!holds)
            throw new HistoryLostError(`etcd's history is not the one that was followed up to ${feed.revision}`);
        }
      } catch (error) {
        // An answer that comes late is that of a stream that is gone: by now the feed may be far ahead.
        if (!current()) return;
        if (!feed.survives(error)) {
          this.#end(feed, error as EtcdError);
          return;
        }
        if (isRefusal(error)) feed.refused(error as EtcdError);
        backoff ??= new Backoff(this.#runtime);
        await backoff.wait(feed.signal, { cause: error }).catch(() => {});
        continue;
      }
      if (!current()) return;
      // One that goes on, or that comes after what the server has, begins with what is known already: see #created.
      const isLate = feed.wasCreated || (!feed.spec.isLookedAt && feed.revision < stream.serverRevision);
      stream.create(feed, isLate && feed.revision > 0 ? feed.revision : feed.revision + 1);
      return;
    }
  }

  /**
   * The server follows the range. What happened before that, it reads from its store up to 100 ms later; one before
   * 3.5.18 finds no deletion there when that was compacted at the very revision that the watch begins with. So one
   * that does not begin with what is new to the server begins again with the revision before, which is known or not
   * wanted: if that is compacted, the server says so. Always to begin so would keep the first events 100 ms. Where the
   * key is looked at, too, a deletion that is left out is found so, and nothing begins twice.
   */
  #created(feed: WatchFeed, startRevision: number, serverRevision: number, stream: OpenStream): void {
    feed.created();
    const mayLack = startRevision <= serverRevision && startRevision > feed.revision && feed.revision > 0;
    if (mayLack && !feed.spec.isLookedAt) {
      stream.cancel(feed);
      stream.create(feed, feed.revision);
    } else feed.live();
  }

  /** The server ended one feed; the others go on. */
  #cancelled(feed: WatchFeed, error: EtcdError): void {
    if (feed.over) return;
    if (isDenied(error)) {
      void this.#refused(feed, error);
      return;
    }
    if (!error.retryable) {
      this.#end(feed, error);
      return;
    }
    feed.stale(error);
    this.#attachSoon(feed, error);
  }

  /**
   * Etcd judges a watch by the token that its stream was opened with, which may have expired since (HARDSHIPS 10). A
   * read of the same range, with a token that is renewed if need be, shows which it is. The stream is given up only
   * when it was that, so a feed that may not follow its range leaves the others alone.
   */
  async #refused(feed: WatchFeed, error: EtcdError): Promise<void> {
    const stream = this.#stream;
    feed.refused(error);
    feed.refusals++;
    try {
      await this.#spaceOf(feed).protocol.range({ range: feed.spec.range, countOnly: true }, { signal: feed.signal });
    } catch (problem) {
      if (feed.over) return;
      if (!feed.survives(problem)) this.#end(feed, problem instanceof EtcdError ? problem : error);
      // A stream that came meanwhile has the feed already.
      else if (stream === this.#stream) this.#attachSoon(feed, problem);
      return;
    }
    if (feed.over || !stream || stream !== this.#stream) return;
    if (feed.refusals > MOST_REFUSALS) {
      if (feed.survives(error)) this.#attachSoon(feed, error);
      else this.#end(feed, error);
      return;
    }
    stream.close();
    // The others are not refused, and no person has to see to it.
    const problem = `the token of the stream on ${stream.endpoint.url} is not taken any more`;
    this.#streamEnded?.resolve(new UnavailableError(problem, { cause: error, retryable: true }));
  }

  #attachSoon(feed: WatchFeed, cause: unknown): void {
    const stream = this.#stream;
    // After a moment: a server that goes on refusing is asked again and again, but not in a loop.
    const retry = () => {
      if (stream && stream === this.#stream && !feed.over) void this.#attach(feed, stream);
    };
    const pauseMs = isRefusal(cause) ? feed.backoff.nextMs({ cause }) : 100 + this.#runtime.random() * 900;
    this.#runtime.clock.timer(pauseMs, retry).unref();
  }

  #spaceOf({ spec }: WatchFeed): KeySpace {
    return spec.space ?? this.#space;
  }

  #end(feed: WatchFeed, error: EtcdError): void {
    this.#remove(feed);
    feed.end(error);
  }

  #remove(feed: WatchFeed): void {
    this.#feeds.delete(feed);
    if (this.#feeds.size > 0) return;
    this.#running?.abort();
    this.#running = undefined;
    this.#stream?.close();
    this.#stream = undefined;
    this.#streamEnded?.resolve(new ClientClosedError("no watch or mirror follows any more"));
    // An error keeps alive what its stack runs through, callers included.
    this.#streamEnded = undefined;
  }

  /** A message is a sign of life. */
  #heard(stream: OpenStream): void {
    this.#backoff.succeeded();
    this.#protocol.streamWorked(stream.endpoint);
  }

  #mute(stream: OpenStream): void {
    if (stream !== this.#stream) return;
    this.#protocol.streamFailed(stream.endpoint, "silent");
    stream.close();
    const { url } = stream.endpoint;
    this.#streamEnded?.resolve(new UnavailableError(`${url} did not confirm a watch`, { retryable: true }));
  }
}
