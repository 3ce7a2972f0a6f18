import type { EtcdError } from "../errors/etcd-error.ts";
import type { KeyFeeds, KeyListener, KeyMark, KeyState } from "../internal/key-feeds.ts";
import { toBytes } from "../model/bytes.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { WatchBatch } from "../model/watch-event.ts";
import type { FollowParts } from "./follow-parts.ts";
import type { HistoryEvidence } from "./history-evidence.ts";
import type { KeySpace } from "./key-space.ts";
import type { FeedSpec } from "./watch-feed.ts";

/** @returns what follows single keys on the hub's stream */
export function keyFeeds({ hub, space, closing }: FollowParts): KeyFeeds<KeyValue> {
  return {
    get openStream() {
      return hub.openStream;
    },
    follow(key, state, listener) {
      const feed = hub.follow(new FollowedKey(key, space, state, listener));
      return () => hub.unfollow(feed);
    },
    onClosed(listener) {
      if (!closing.closed) return closing.on(listener);
      listener(closing.closed);
      return () => {};
    },
  };
}

/**
 * One key, from a state that its owner has from etcd: no list, no entries, no readers. Of the key it keeps what
 * proves the history after a reconnect.
 */
class FollowedKey implements FeedSpec {
  readonly range: KeyRange;
  readonly space: KeySpace | undefined;
  readonly previous = false;
  readonly afterRevision: number;
  readonly provenOn: object | undefined;
  readonly waitsOutRefusals = true;
  readonly isLookedAt = true;
  readonly #listener: KeyListener<KeyValue>;
  #mark: KeyMark | undefined;
  #revision: number;

  constructor(
    key: string,
    space: KeySpace | undefined,
    { mark, revision, provenOn }: KeyState,
    listener: KeyListener<KeyValue>,
  ) {
    this.range = { start: toBytes(key) };
    this.space = space;
    this.afterRevision = revision;
    this.provenOn = provenOn;
    this.#listener = listener;
    this.#mark = mark && markOf(mark);
    this.#revision = revision;
  }

  evidence(): HistoryEvidence {
    return { revision: this.#revision, only: { mark: this.#mark } };
  }

  onLive(): void {
    this.#listener.onLive();
  }

  onStale(error: EtcdError): void {
    this.#listener.onStale(error);
  }

  onEnd(error: EtcdError): void {
    this.#listener.onEnd(error);
  }

  onBatch({ events, revision }: WatchBatch): void {
    this.#revision = revision;
    // Of several only the end counts.
    const last = events.at(-1);
    if (!last) return;
    const kv = last.type === "put" ? last.kv : undefined;
    this.#mark = kv && markOf(kv);
    this.#listener.onKey(kv, revision);
  }
}

/** Without what an entry has besides. */
function markOf({ createRevision, modRevision, version, lease }: KeyMark): KeyMark {
  return { createRevision, modRevision, version, lease };
}
