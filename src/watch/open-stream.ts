import type { StreamEndpoint, WatchResponse, WatchStream } from "../connection/index.ts";
import { translateWatchCancel } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import type { WatchFeed } from "./watch-feed.ts";

/**
 * The feeds on one open stream, by the server's numbers. "Created" answers are matched by the order of the requests: a
 * refused watch answers with the number -1.
 */
export class OpenStream {
  readonly #stream: WatchStream;
  readonly #onCancelled: (feed: WatchFeed, error: EtcdError) => void;
  readonly #creating: WatchFeed[] = [];
  readonly #created = new Map<string, WatchFeed>();

  constructor(stream: WatchStream, onCancelled: (feed: WatchFeed, error: EtcdError) => void) {
    this.#stream = stream;
    this.#onCancelled = onCancelled;
  }

  get endpoint(): StreamEndpoint {
    return this.#stream.endpoint;
  }

  /** Whether the server owes an answer to a create request. */
  get waits(): boolean {
    return this.#creating.length > 0;
  }

  create(feed: WatchFeed, startRevision: number): void {
    this.#creating.push(feed);
    this.#stream.create({ range: feed.spec.range, startRevision, previous: feed.spec.previous });
  }

  /** Tells the server that nobody listens any more; a feed that it has not confirmed yet is cancelled when it is. */
  cancel(feed: WatchFeed): void {
    for (const [watchId, created] of this.#created) {
      if (created !== feed) continue;
      this.#created.delete(watchId);
      this.#stream.cancel(watchId);
      return;
    }
  }

  receive(response: WatchResponse): void {
    if (response.created) {
      const feed = this.#creating.shift();
      if (!feed) return;
      if (response.canceled) this.#cancelled(feed, response);
      else if (feed.over) this.#stream.cancel(response.watchId);
      else {
        this.#created.set(response.watchId, feed);
        feed.live();
      }
      return;
    }
    const feed = this.#created.get(response.watchId);
    if (!feed) return;
    if (response.canceled) {
      this.#created.delete(response.watchId);
      this.#cancelled(feed, response);
    } else {
      feed.receive(response);
    }
  }

  close(): void {
    this.#stream.close();
  }

  #cancelled(feed: WatchFeed, { compactRevision, cancelReason }: WatchResponse): void {
    const error =
      compactRevision > 0
        ? new CompactedError(
            `what followed revision ${feed.revision} is compacted away; a watch can start from ${compactRevision}`,
            { compactRevision },
          )
        : translateWatchCancel(cancelReason);
    this.#onCancelled(feed, error);
  }
}
